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
from ftkit.encoders.long_texts import HEAD_ONLY, MOST_WINDOWS, LongTexts, Windows
from ftkit.errors import LedgerError

if TYPE_CHECKING:
    import numpy as np

CHARACTERS = 64
"""Characters of a text that are read per token of the model's limit: English has four to five to a token."""

CHARACTERS_OF_WINDOWS = 8
"""The same for each token of all windows together."""

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

    @property
    def count(self) -> int:
        """How many tokens of each row are special."""
        return len(self.before) + len(self.after)


class Tokenizer:
    """Makes a row of token ids from a text: safe to share between threads, and encodes any text without raising.

    A row has special tokens around those of its text (`[CLS] … [SEP]`), so that it can be cut to any length. The
    tokenizer that is `wrapped` is one of transformers, or one of the tokenizers library together with its `special`
    tokens.
    """

    typed = False
    """Whether its rows have token types, see `ftkit.encoders.paired_rows`."""

    def __init__(self, wrapped: Any, limit: int, special: SpecialTokens | None = None) -> None:
        self.wrapped = wrapped
        self.limit = limit
        """Tokens that the model can read at once, special ones included."""
        if special is not None:
            self._fast = wrapped
        else:
            self._fast = getattr(wrapped, "backend_tokenizer", None) if wrapped.is_fast else None
        if self._fast is not None:  # set once, here: in every call it would make the tokenizer unsafe in threads
            self._fast.no_truncation()
            self._fast.no_padding()
        self.special = special or _special_tokens(wrapped)
        self.added = self.special.count
        """How many tokens of each row are special."""
        self.padding, self.side = self.special.padding, self.special.side
        self._before, self._after = list(self.special.before), list(self.special.after)

    def encode(self, texts: Sequence[str], *, whole: bool = False) -> list[list[int]]:
        """The token ids of each text without special tokens, at most as many as the model can read unless it is `whole`."""
        encoded = self._ids([clean(text, self.limit) for text in texts])
        return encoded if whole else [ids[: self.capacity(self.limit)] for ids in encoded]

    def needed(self, texts: Sequence[str], long_texts: LongTexts) -> list[list[int]]:
        """The token ids of each text that a way of reading needs, for rows of any length: a bounded number of them."""
        most, characters = self.capacity(self.limit), self.limit * CHARACTERS
        if long_texts.way == "head":
            return self.encode(texts)
        if long_texts.way == "windows":
            characters = max(characters, MOST_WINDOWS * most * CHARACTERS_OF_WINDOWS)
            return [ids[: MOST_WINDOWS * most] for ids in self._ids([encodable(text[:characters]) for text in texts])]
        short = [len(text) <= 2 * characters for text in texts]
        pairs = zip(texts, short, strict=True)
        begins = self._ids([encodable(text if whole else text[:characters]) for text, whole in pairs])
        ends = iter(self._ids([encodable(text[-characters:]) for text in texts if len(text) > 2 * characters]))
        needed = []
        for ids, whole in zip(begins, short, strict=True):
            end = ids if whole else next(ends)
            needed.append(ids if whole and len(ids) <= 2 * most else ids[:most] + end[-most:])
        return needed

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if self._fast is not None:
            return [each.ids for each in self._fast.encode_batch_fast(texts, add_special_tokens=False)]
        return [self.wrapped(text, add_special_tokens=False)["input_ids"] for text in texts]

    def capacity(self, length: int) -> int:
        """How many tokens of a row of `length` can be those of its text."""
        return max(min(length, self.limit) - self.added, 0)

    def row(self, ids: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
        """The row of an encoded text: at most `length` tokens, special ones included."""
        import numpy as np

        return np.concatenate((self._before, ids[: self.capacity(length)], self._after)).astype(np.int64)

    def text_rows(
        self, ids: Sequence[int] | np.ndarray, length: int, long_texts: LongTexts = HEAD_ONLY
    ) -> np.ndarray | Windows:
        """The row of an encoded text, or its windows, of at most `length` tokens each."""
        import numpy as np

        capacity = self.capacity(length)
        if long_texts.way == "head" or len(ids) <= capacity:
            return self.row(ids, length)
        parts = long_texts.parts(len(ids), capacity)
        rows = [self.row(np.concatenate([ids[each] for each in part]), length) for part in parts]
        return rows[0] if len(rows) == 1 else Windows(rows)

    def rows(self, texts: Sequence[str], length: int, long_texts: LongTexts = HEAD_ONLY) -> list[np.ndarray | Windows]:
        """What is read of each text, see `text_rows`."""
        return [self.text_rows(ids, length, long_texts) for ids in self.needed(texts, long_texts)]

    def lengths(self, texts: Sequence[str], length: int, long_texts: LongTexts = HEAD_ONLY) -> list[int]:
        """Tokens of what is read of each text, when rows have at most `length`."""
        import numpy as np

        tokens = np.fromiter(map(len, self.needed(texts, long_texts)), np.int64, len(texts))
        return [*map(int, self.row_tokens(tokens, length, long_texts))]

    def row_tokens(self, tokens: np.ndarray, length: int, long_texts: LongTexts = HEAD_ONLY) -> np.ndarray:
        """Tokens in the rows of texts with so many tokens, special ones included."""
        import numpy as np

        capacity, special = self.capacity(length), self.added
        windows = long_texts.windows(tokens, capacity)  # of several, all are full
        return np.where(windows > 1, windows * (capacity + special), np.minimum(tokens, capacity) + special)

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
    long_texts: LongTexts = HEAD_ONLY

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of what is read of each text, special ones included."""
        import numpy as np

        return self.tokenizer.row_tokens(np.diff(self.starts), self.length, self.long_texts)

    @property
    def windows(self) -> np.ndarray:
        """How many rows each text has."""
        import numpy as np

        return self.long_texts.windows(np.diff(self.starts), self.tokenizer.capacity(self.length))

    def rows(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray | Windows]:
        """What is read of the texts with these indices, special tokens included."""
        return [
            self.tokenizer.text_rows(
                self.ids[self.starts[index] : self.starts[index + 1]], self.length, self.long_texts
            )
            for index in indices
        ]


def tokenize(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    length: int,
    cache: Path | None,
    long_texts: LongTexts = HEAD_ONLY,
) -> TokenizedSplit:
    """The token ids of texts: read from the cache if an earlier trial wrote them, else computed and written there.

    The cache holds what a way of reading needs at the model's full length, for trials of any `length`; it is written batch by
    batch, and mapped into memory. Raises: LedgerError on a full disk.
    """
    import filelock
    import numpy as np

    if cache is None:
        encoded = [ids for batch in _encoded(texts, tokenizer, long_texts) for ids in batch]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        ids = np.concatenate(encoded) if encoded else np.zeros(0, np.int32)
        return TokenizedSplit(ids, starts, tokenizer, length, long_texts)
    folder = cache / f"tokens-{_key(texts, tokenizer, long_texts)}"
    try:
        with filelock.FileLock(cache / f".{folder.name}.lock"):  # trials that start together wait for the first
            if not folder.is_dir():
                with files.atomic_folder(folder) as partial:
                    _write(partial, texts, tokenizer, long_texts)
    except OSError as error:
        raise LedgerError(
            f"tokens cannot be stored: {error.strerror or error}",
            where=str(cache),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command.",
        ) from error
    starts = np.asarray(_mapped(folder / "starts", np.int64))
    return TokenizedSplit(_mapped(folder / "ids", np.int32), starts, tokenizer, length, long_texts)


def _key(texts: Sequence[str], tokenizer: Tokenizer, long_texts: LongTexts) -> str:
    """Equal for the same texts, tokenizer and way of reading; a run's stored texts are known by their data's fingerprint, others are read."""
    digest = hashlib.sha256(f"ids, starts {tokenizer.fingerprint}".encode())  # older caches have files of another form
    if long_texts.way != "head":
        digest.update(long_texts.way.encode())
    if isinstance(texts, StoredColumn) and texts.key:
        digest.update(texts.key.encode())
    else:
        for text in texts:
            encoded_text = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded_text).to_bytes(8, "little"))
            digest.update(encoded_text)
    return digest.hexdigest()[:20]


def _write(folder: Path, texts: Sequence[str], tokenizer: Tokenizer, long_texts: LongTexts) -> None:
    """Write `ids` and `starts` of a `TokenizedSplit`, numbers one after the other. Raises: OSError."""
    import numpy as np

    end = np.zeros(1, np.int64)
    with (folder / "ids").open("wb") as ids, (folder / "starts").open("wb") as starts:
        starts.write(end.tobytes())
        for batch in _encoded(texts, tokenizer, long_texts):
            ids.write(np.concatenate(batch).tobytes())
            ends = end + np.cumsum([len(row) for row in batch])
            starts.write(ends.tobytes())
            end = ends[-1:]


def _mapped(path: Path, kind: type[np.generic]) -> np.ndarray:
    import numpy as np

    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)


def _encoded(texts: Sequence[str], tokenizer: Tokenizer, long_texts: LongTexts) -> Iterator[list[np.ndarray]]:
    """The token ids of each text, of some texts at a time: the tokenizer divides them among the cores."""
    import numpy as np

    remaining = iter(texts)
    while batch := [*itertools.islice(remaining, _CHUNK)]:
        yield [np.asarray(ids, dtype=np.int32) for ids in tokenizer.needed(batch, long_texts)]


def clean(text: str, limit: int) -> str:
    """A text that every tokenizer accepts: lone surrogates replaced, and cut far beyond the `limit` of tokens."""
    return encodable(text[: limit * CHARACTERS])


def encodable(text: str) -> str:
    """The text with lone surrogates replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate pair that a JSON reader left in two halves becomes its character; a lone half becomes U+FFFD.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
