"""Texts to token ids, once in a run for all trials, whatever length a trial reads."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.data.stored_rows import StoredColumn
from ftkit.errors import LedgerError

if TYPE_CHECKING:
    import numpy as np

CHARACTERS = 64
"""Characters of a text that are read per token of the model's limit: English has four to five to a token."""

_CHUNK = 1024
"""Texts that are encoded at a time."""


@dataclass(frozen=True)
class SpecialTokens:
    """What a row has beside the tokens of its text."""

    before: tuple[int, ...]
    """Such as `[CLS]`."""
    after: tuple[int, ...]
    """Such as `[SEP]`."""
    padding: int
    """The token that fills up a row in a batch with a longer one."""
    side: str
    """Where the padding stands, `left` or `right`."""


class Tokenizer:
    """Makes a row of token ids from a text: safe to share between threads, and encodes any text without raising.

    A row has special tokens around those of its text (`[CLS] … [SEP]`), so that it can be cut to any length. The
    tokenizer that is `wrapped` is one of transformers, or one of the tokenizers library together with its `special`
    tokens.
    """

    def __init__(self, wrapped: Any, limit: int, special: SpecialTokens | None = None) -> None:
        self.wrapped = wrapped
        self.limit = limit
        """Tokens that the model can read at once, special ones included."""
        if special is not None:
            self._fast = wrapped
        else:
            self._fast = getattr(wrapped, "backend_tokenizer", None) if wrapped.is_fast else None
        if (
            self._fast is not None
        ):  # set once, here: setting them in every call would make the tokenizer unsafe in threads
            self._fast.no_truncation()
            self._fast.no_padding()
        self.special = special or _special_tokens(wrapped)
        self.padding, self.side = self.special.padding, self.special.side
        self._before, self._after = list(self.special.before), list(self.special.after)

    def encode(self, texts: Sequence[str], *, whole: bool = False) -> list[list[int]]:
        """The token ids of each text without special tokens, at most as many as the model can read unless it is `whole`."""
        texts = [clean(text, self.limit) for text in texts]
        if self._fast is not None:
            encoded = [each.ids for each in self._fast.encode_batch_fast(texts, add_special_tokens=False)]
        else:
            encoded = [self.wrapped(text, add_special_tokens=False)["input_ids"] for text in texts]
        return encoded if whole else [ids[: self.capacity(self.limit)] for ids in encoded]

    def capacity(self, length: int) -> int:
        """How many tokens of a row of `length` can be those of its text."""
        return max(min(length, self.limit) - len(self._before) - len(self._after), 0)

    def row(self, ids: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
        """The row of an encoded text: at most `length` tokens, special ones included."""
        import numpy as np

        return np.concatenate((self._before, ids[: self.capacity(length)], self._after)).astype(np.int64)

    def rows(self, texts: Sequence[str], length: int) -> list[np.ndarray]:
        """The row of each text, see `row`."""
        return [self.row(ids, length) for ids in self.encode(texts)]

    def lengths(self, texts: Sequence[str], length: int) -> list[int]:
        """Tokens in the row of each text, when at most `length` are read."""
        special = len(self._before) + len(self._after)
        return [min(len(ids), self.capacity(length)) + special for ids in self.encode(texts)]

    @property
    def fingerprint(self) -> str:
        """A digest of everything that decides which ids a text gets."""
        if self._fast is not None:
            state = self._fast.to_str()
        else:
            state = repr((type(self.wrapped).__name__, sorted(self.wrapped.get_vocab().items())))
        return hashlib.sha256(f"{state}{self.limit}{self._before}{self._after}".encode()).hexdigest()


def _special_tokens(tokenizer: Any) -> SpecialTokens:
    """What a tokenizer of transformers adds to a text, as it does to an example."""
    row = tokenizer("a")["input_ids"]
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next((index for index in range(len(row)) if row[index : index + len(ids)] == ids), 0)
    return SpecialTokens(
        tuple(row[:start]),
        tuple(row[start + len(ids) :]),
        int(tokenizer.pad_token_id or 0),
        str(tokenizer.padding_side),
    )


@dataclass(frozen=True)
class TokenizedSplit:
    """The token ids of a split, memory-mapped: those of all texts end to end, and where each text begins."""

    ids: np.ndarray  # (tokens,)
    starts: np.ndarray  # (rows + 1,)
    tokenizer: Tokenizer
    length: int
    """Tokens of a row that are read, special ones included."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row, special ones included."""
        import numpy as np

        capacity = self.tokenizer.capacity(self.length)
        return np.minimum(np.diff(self.starts), capacity) + len(self.tokenizer.row((), self.length))

    def rows(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """The rows with these indices, special tokens included."""
        return [
            self.tokenizer.row(self.ids[self.starts[index] : self.starts[index + 1]], self.length) for index in indices
        ]


def tokenize(texts: Sequence[str], tokenizer: Tokenizer, length: int, cache: Path | None) -> TokenizedSplit:
    """The token ids of texts: read from the cache if an earlier trial wrote them, else computed and written there.

    The cache holds them at the model's full length, for trials of any `length`; they are written batch by batch, and mapped
    into memory. Raises: LedgerError on a full disk.
    """
    import filelock
    import numpy as np

    if cache is None:
        encoded = [ids for batch in _encoded(texts, tokenizer) for ids in batch]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        ids = np.concatenate(encoded) if encoded else np.zeros(0, np.int32)
        return TokenizedSplit(ids, starts, tokenizer, length)
    folder = cache / f"tokens-{_key(texts, tokenizer)}"
    try:
        with filelock.FileLock(cache / f".{folder.name}.lock"):  # trials that start together wait for the first
            if not folder.is_dir():
                with files.atomic_folder(folder) as partial:
                    _write(partial, texts, tokenizer)
    except OSError as error:
        raise LedgerError(
            f"tokens cannot be stored: {error.strerror or error}",
            where=str(cache),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command.",
        ) from error
    starts = np.asarray(_mapped(folder / "starts", np.int64))
    return TokenizedSplit(_mapped(folder / "ids", np.int32), starts, tokenizer, length)


def _key(texts: Sequence[str], tokenizer: Tokenizer) -> str:
    """Equal for the same texts and tokenizer; a run's stored texts are known by their data's fingerprint, others are read."""
    digest = hashlib.sha256(f"ids, starts {tokenizer.fingerprint}".encode())  # older caches have files of another form
    if isinstance(texts, StoredColumn) and texts.key:
        digest.update(texts.key.encode())
    else:
        for text in texts:
            encoded_text = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded_text).to_bytes(8, "little"))
            digest.update(encoded_text)
    return digest.hexdigest()[:20]


def _write(folder: Path, texts: Sequence[str], tokenizer: Tokenizer) -> None:
    """Write `ids` and `starts` of a `TokenizedSplit`, numbers one after the other. Raises: OSError."""
    import numpy as np

    end = np.zeros(1, np.int64)
    with (folder / "ids").open("wb") as ids, (folder / "starts").open("wb") as starts:
        starts.write(end.tobytes())
        for batch in _encoded(texts, tokenizer):
            ids.write(np.concatenate(batch).tobytes())
            ends = end + np.cumsum([len(row) for row in batch])
            starts.write(ends.tobytes())
            end = ends[-1:]


def _mapped(path: Path, kind: type[np.generic]) -> np.ndarray:
    import numpy as np

    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)


def _encoded(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[list[np.ndarray]]:
    """The token ids of each text, of some texts at a time: the tokenizer divides them among the cores."""
    import numpy as np

    remaining = iter(texts)
    while batch := [*itertools.islice(remaining, _CHUNK)]:
        yield [np.asarray(ids, dtype=np.int32) for ids in tokenizer.encode(batch)]


def clean(text: str, limit: int) -> str:
    """A text that every tokenizer accepts: lone surrogates replaced, and cut far beyond the `limit` of tokens."""
    text = text[: limit * CHARACTERS]
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate pair that a JSON reader left in two halves becomes its character; a lone half becomes U+FFFD.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
