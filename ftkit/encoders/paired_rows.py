"""Rows of two texts: the model's own form of a pair, with its separators and token types; of a pair that is too long, the longer side is cut.

The type of a token stands above its id in one number, so that rows are arrays wherever they go. Whoever calls a model takes
them apart, by `inputs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ftkit import pairs
from ftkit.encoders.long_texts import HEAD_ONLY, LongTexts
from ftkit.encoders.tokenization import SpecialTokens, Tokenizer
from ftkit.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.encoders.checkpoint import Checkpoint

BITS = 28
"""Bits of an id: no vocabulary has as many tokens. The type stands above them."""
SECOND = 1 << BITS
"""The type 1, and in an encoded pair the mark of the second side's tokens."""
TYPES = "token_type_ids"


@dataclass(frozen=True)
class PairForm:
    """What a row of a pair has beside the ids of its sides; types are in the numbers."""

    before: tuple[int, ...]
    """Such as `[CLS]`."""
    between: tuple[int, ...]
    """Such as `[SEP]`."""
    after: tuple[int, ...]
    """Such as `[SEP]`, of the second type."""
    types: tuple[int, int]
    """The types of the tokens of the first side and of the second; both 0 where the model knows no types."""

    @property
    def typed(self) -> bool:
        """Whether the model is given types."""
        return any(self.types)


class PairTokenizer(Tokenizer):
    """Makes a row of a pair, see `ftkit.pairs`, as transformers makes it of two texts; a text that is no pair has an empty side."""

    def __init__(self, wrapped: Any, limit: int, form: PairForm, special: SpecialTokens | None = None) -> None:
        super().__init__(wrapped, limit, special)
        self.form = form
        self.typed = form.typed
        self.added = len(form.before) + len(form.between) + len(form.after)

    def needed(self, texts: Sequence[str], long_texts: LongTexts = HEAD_ONLY) -> list[list[int]]:
        """The token ids of both sides of each text, those of the second marked; of each side as many as a row can have."""
        encoded = iter(super().needed([side for text in texts for side in pairs.sides(text)], long_texts))
        return [[*next(encoded), *(SECOND + each for each in next(encoded))] for _ in texts]

    def row(self, ids: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
        """The row of an encoded pair: at most `length` tokens, special ones included, with their types."""
        import numpy as np

        numbers = np.asarray(ids, dtype=np.int64)
        border = int(np.count_nonzero(numbers < SECOND))
        first, second = shares(border, len(numbers) - border, self.capacity(length))
        types = [each << BITS for each in self.form.types]
        sides = numbers[:first] + types[0], numbers[border : border + second] - SECOND + types[1]
        return np.concatenate((self.form.before, sides[0], self.form.between, sides[1], self.form.after)).astype(
            np.int64
        )

    @property
    def fingerprint(self) -> str:
        """A digest of everything that decides which ids a pair gets."""
        return hashlib.sha256(f"{super().fingerprint}{asdict(self.form)}".encode()).hexdigest()


def shares(first: int, second: int, capacity: int) -> tuple[int, int]:
    """How many tokens of each side are read: the longer side is cut, and both to one length where that is not enough.

    Source: tokenizers, `truncate_encodings` with `LongestFirst`, as transformers truncates a pair by default.
    """
    short, long = min(first, second), max(first, second)
    if short + long > capacity:
        long = max(short, capacity - short)
        if short + long > capacity:
            short = capacity // 2
            long = short + capacity % 2
    return (long, short) if first > second else (short, long)


def inputs(ids: Any, mask: Any) -> dict[str, Any]:
    """The inputs of a model by their names, of padded rows and their mask, arrays or tensors; types only where rows have them."""
    types = ids >> BITS
    if not types.any():
        return {"input_ids": ids, "attention_mask": mask}
    return {"input_ids": ids & (SECOND - 1), "attention_mask": mask, TYPES: types}


def tokenizer_of(checkpoint: Checkpoint, *, paired: bool, limit: int | None = None) -> Tokenizer:
    """The tokenizer of a checkpoint for texts or for pairs; it reads up to `limit` tokens. Raises: CheckpointError."""
    limit = checkpoint.limit if limit is None else limit
    if not paired:
        return Tokenizer(checkpoint.tokenizer, limit)
    return PairTokenizer(checkpoint.tokenizer, limit, pair_form(checkpoint))


def pair_form(checkpoint: Checkpoint) -> PairForm:
    """What the checkpoint's own tokenizer adds to a pair, as it does to an example. Raises: CheckpointError without a form of pairs."""
    tokenizer = checkpoint.tokenizer
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    size = len(ids)
    knows_types = TYPES in tokenizer.model_input_names and getattr(checkpoint.config, "type_vocab_size", 0) > 1
    example = tokenizer("a", "a", return_token_type_ids=knows_types)
    row = example["input_ids"]
    places = [index for index in range(len(row)) if row[index : index + size] == ids]
    if size == 0 or len(places) != 2:
        raise CheckpointError(
            "the tokenizer has no form for two texts",
            where=str(checkpoint.folder),
            hint='Take another checkpoint, or join the texts: join = "lines".',
        )
    types = example[TYPES] if knows_types else [0] * len(row)
    numbers = [number + (kind << BITS) for number, kind in zip(row, types, strict=True)]
    first, second = places
    return PairForm(
        tuple(numbers[:first]),
        tuple(numbers[first + size : second]),
        tuple(numbers[second + size :]),
        (types[first], types[second]),
    )
