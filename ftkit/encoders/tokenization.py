"""Texts to token ids: once per run and not once per trial, whatever length a trial reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.errors import LedgerError

if TYPE_CHECKING:
    import numpy as np

CHARACTERS = 64
"""Characters of a text that are looked at, per token the model can read: English has four to five to a token."""

_CHUNK = 1024


@dataclass(frozen=True)
class Frame:
    """What stands around the own tokens of a row."""

    before: tuple[int, ...]
    """Special tokens, such as `[CLS]`."""
    after: tuple[int, ...]
    padding: int
    """The token that fills up a row beside a longer one."""
    side: str
    """Where it does so, `left` or `right`."""


class Words:
    """A tokenizer as this package uses it: safe to share between threads, and deaf to no text.

    Special tokens stand around a row's own tokens (`[CLS] … [SEP]`), so that a row can be cut to any length. The tokenizer is one of
    transformers; with a `frame` it is one of the tokenizers library, which does not know its own.
    """

    def __init__(self, tokenizer: Any, limit: int, frame: Frame | None = None) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        if frame is not None:
            self._fast = tokenizer
        else:
            self._fast = getattr(tokenizer, "backend_tokenizer", None) if tokenizer.is_fast else None
        if (
            self._fast is not None
        ):  # set once here: setting them for each call is what makes tokenizers unsafe in threads
            self._fast.no_truncation()
            self._fast.no_padding()
        self.frame = frame or _frame(tokenizer)
        self.padding, self.side = self.frame.padding, self.frame.side
        self._before, self._after = list(self.frame.before), list(self.frame.after)

    def own(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's tokens without special ones, as many as the model can read."""
        texts = [clean(text, self.limit) for text in texts]
        if self._fast is not None:
            found = [each.ids for each in self._fast.encode_batch_fast(texts, add_special_tokens=False)]
        else:
            found = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        return [ids[: self.room(self.limit)] for ids in found]

    def room(self, length: int) -> int:
        """How many of `length` tokens are a row's own."""
        return max(min(length, self.limit) - len(self._before) - len(self._after), 0)

    def row(self, own: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
        """A row of at most `length` tokens, special ones around it."""
        import numpy as np

        return np.concatenate((self._before, own[: self.room(length)], self._after)).astype(np.int64)

    def lengths(self, texts: Sequence[str], length: int) -> list[int]:
        """How long each text's row is when at most `length` tokens are read."""
        around = len(self._before) + len(self._after)
        return [min(len(own), self.room(length)) + around for own in self.own(texts)]

    @property
    def fingerprint(self) -> str:
        """A digest of all that decides which ids a text gets."""
        if self._fast is not None:
            said = self._fast.to_str()
        else:
            said = repr((type(self.tokenizer).__name__, sorted(self.tokenizer.get_vocab().items())))
        return hashlib.sha256(f"{said}{self.limit}{self._before}{self._after}".encode()).hexdigest()


def _frame(tokenizer: Any) -> Frame:
    """The frame of a tokenizer of transformers, by its example."""
    probe = tokenizer("a")["input_ids"]
    own = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next((at for at in range(len(probe)) if probe[at : at + len(own)] == own), 0)
    return Frame(
        tuple(probe[:start]),
        tuple(probe[start + len(own) :]),
        int(tokenizer.pad_token_id or 0),
        str(tokenizer.padding_side),
    )


@dataclass(frozen=True)
class Tokens:
    """The rows of a split, memory-mapped: own tokens end to end, and where each row begins."""

    ids: np.ndarray  # (tokens,)
    starts: np.ndarray  # (rows + 1,)
    words: Words
    length: int
    """Tokens of a row that are read, special ones included."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, special ones included."""
        import numpy as np

        room = self.words.room(self.length)
        return np.minimum(np.diff(self.starts), room) + len(self.words.row((), self.length))

    def rows(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """These rows' ids, special tokens around them."""
        return [self.words.row(self.ids[self.starts[at] : self.starts[at + 1]], self.length) for at in indices]


def tokenised(texts: Sequence[str], words: Words, length: int, cache: Path | None) -> Tokens:
    """The tokens of these texts: read from the cache if any trial has made them before, else made and kept.

    Kept at the model's full length, so that trials of any `length` find them. Raises: LedgerError on a full disk.
    """
    import filelock
    import numpy as np

    if cache is None:
        return Tokens(*_tokenise(texts, words), words, length)
    digest = hashlib.sha256(words.fingerprint.encode())
    for text in texts:
        said = text.encode("utf-8", "surrogatepass")
        digest.update(len(said).to_bytes(8, "little"))
        digest.update(said)
    folder = cache / f"tokens-{digest.hexdigest()[:20]}"
    try:
        with filelock.FileLock(cache / f".{folder.name}.lock"):  # trials that start together wait for the first
            if not folder.is_dir():
                ids, starts = _tokenise(texts, words)
                with files.atomic_folder(folder) as partial:
                    np.save(partial / "ids.npy", ids)
                    np.save(partial / "starts.npy", starts)
    except OSError as error:
        raise LedgerError(
            f"tokens cannot be kept: {error.strerror or error}",
            where=str(cache),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command.",
        ) from error
    ids = np.load(folder / "ids.npy", mmap_mode="r" if (folder / "ids.npy").stat().st_size else None)
    return Tokens(ids, np.load(folder / "starts.npy"), words, length)


def _tokenise(texts: Sequence[str], words: Words) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    rows: list[np.ndarray] = []
    for start in range(0, len(texts), _CHUNK):
        rows += [np.asarray(own, dtype=np.int32) for own in words.own(texts[start : start + _CHUNK])]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return (np.concatenate(rows) if rows else np.zeros(0, np.int32)), starts


def clean(text: str, limit: int) -> str:
    """A text as tokenizers take it: lone surrogates replaced, and not many times longer than can be read."""
    text = text[: limit * CHARACTERS]
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate pair that some JSON reader left in two halves becomes its character, a lone half the sign for it.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
