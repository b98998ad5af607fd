"""What an encoder will see of a data set, before any training: how much is cut, unknown, or the same to it.

A backbone that is no `Encoder` but has a tokenizer calls `inspect_texts`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ftkit import pairs
from ftkit.contracts import Inspection
from ftkit.data.on_disk import joined
from ftkit.encoders import long_texts as ways
from ftkit.encoders.long_texts import HEAD_ONLY, LongTexts
from ftkit.encoders.paired_rows import SECOND, PairTokenizer, tokenizer_of
from ftkit.encoders.tokenization import Tokenizer, clean
from ftkit.formatting import count, listing

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig

T = TypeVar("T")

MOST_TEXTS = 10_000
"""Texts that are tokenised, evenly spaced: a share of 1 % is then known to within 0.2 %, after a few seconds."""
UNKNOWN = 0.05
"""Share of unknown tokens, or of texts that are hardly read, from which there is a warning: English has below 1 %."""
MANY_TOKENS = 1.2
"""Tokens a character from which a text is read as bytes: a vocabulary that has the script needs at most one."""
SPELT = 0.75
"""Tokens a character from which a text of words is read letter by letter: English has 0.27, German 0.43, by vocabularies of their own."""
WORDS = 5_000
"""Entries of a vocabulary that holds words; a smaller one is meant to read letters."""
SAME = 0.05
"""Share of texts with the tokens of another text from which there is a warning: such texts cannot be told apart."""
SAME_OTHER_LABEL = 0.01
"""The same for texts with different labels: no model can learn those."""
CUT = 0.5
"""Share of texts that are cut from which there is a warning, where their median loses `LOST` of its tokens or more."""
LOST = 0.5

MULTILINGUAL = 'checkpoint = "FacebookAI/xlm-roberta-base"'
LONG = 'checkpoint = "answerdotai/ModernBERT-base"'
_ALL = LongTexts("windows")
_BATCH = 256
_MISSING = 0.5
"""Share of a script's letters that the vocabulary lacks from which the script is named."""


def inspect(encoder: EncoderConfig, data: Data) -> Inspection:
    """What an encoder reads of the train and valid texts. Raises: CheckpointError."""
    from ftkit.encoders import adaptation
    from ftkit.encoders.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(encoder)
    tokenizer = tokenizer_of(checkpoint, paired=len(data.fields) > 1)
    unknown = checkpoint.tokenizer.unk_token_id
    length = encoder.max_length
    if length == "auto":
        length = adaptation.auto_length(*adaptation.texts_read(encoder, data))
    return inspect_texts(tokenizer, data, length, encoder.name, unknown, ways.of(encoder))


def inspect_texts(
    tokenizer: Tokenizer,
    data: Data,
    max_length: int,
    name: str,
    unknown: int | None = None,
    long_texts: LongTexts = HEAD_ONLY,
) -> Inspection:
    """What a backbone called `name` reads of the train and valid texts at `max_length`; `unknown` is the id of unknown tokens."""
    texts = _sample(joined(data.train.texts, data.valid.texts))
    labels = _sample(joined(data.train.labels, data.valid.labels))
    if not texts:
        return Inspection()
    reading = _read(tokenizer, texts, max_length, unknown, long_texts)
    numbers = _numbers(reading, labels, min(max_length, tokenizer.limit), tokenizer, long_texts)
    sampled = f" (of {len(texts):,} that were looked at)" if len(data.train) + len(data.valid) > len(texts) else ""
    return Inspection(numbers, tuple(_warnings(reading, numbers, labels, name, sampled, tokenizer, unknown)))


@dataclass
class _Reading:
    """The texts as the model gets them; lists have an entry for each text."""

    tokens: list[int] = field(default_factory=list)
    """Tokens of the whole text, without special ones."""
    lost: list[float] = field(default_factory=list)
    """Share of its tokens that is cut off."""
    unknown: list[int] = field(default_factory=list)
    """Unknown tokens."""
    characters: list[int] = field(default_factory=list)
    """Characters that are no white space."""
    words: list[int] = field(default_factory=list)
    """Parts between white space; none where the vocabulary is meant to read letters."""
    row: list[int] = field(default_factory=list)
    """A number that is the same for texts with the same tokens, as far as they are read."""
    letters: Counter[str] = field(default_factory=Counter)
    """Characters of all texts."""

    @property
    def hardly(self) -> int:
        """Texts of which half the tokens are unknown, or that are read as bytes."""
        return sum(
            2 * unknown >= tokens > 0 or tokens > MANY_TOKENS * characters > 0
            for unknown, tokens, characters in zip(self.unknown, self.tokens, self.characters, strict=True)
        )

    @property
    def spelt(self) -> int:
        """Texts of some words, in a script that puts spaces between them, that are read letter by letter."""
        return sum(
            tokens >= SPELT * characters and words >= 4 and 3 * words <= characters <= 12 * words
            for tokens, characters, words in zip(self.tokens, self.characters, self.words, strict=True)
        )


def _read(
    tokenizer: Tokenizer, texts: Sequence[str], max_length: int, unknown: int | None, long_texts: LongTexts
) -> _Reading:
    import numpy as np

    reading, capacity = _Reading(), tokenizer.capacity(max_length)
    holds_words = len(tokenizer.wrapped) >= WORDS
    row_numbers: dict[bytes, int] = {}
    for batch in _batches(texts):
        for text, ids in zip(batch, tokenizer.needed(batch, _ALL), strict=True):
            reading.tokens.append(len(ids))
            read_tokens = int(long_texts.read(np.array(len(ids)), capacity))
            reading.lost.append((len(ids) - read_tokens) / max(len(ids), 1))
            reading.unknown.append(sum(each % SECOND == unknown for each in ids) if unknown is not None else 0)
            if isinstance(tokenizer, PairTokenizer):
                key = tokenizer.row(ids, max_length).tobytes()
            else:
                parts = long_texts.parts(len(ids), capacity)
                read_ids = [each for part in parts for place in part for each in ids[place]]
                key = np.asarray(read_ids, dtype=np.int32).tobytes()
            reading.row.append(row_numbers.setdefault(key, len(row_numbers)))
            words = clean(text.replace(pairs.SEPARATOR, " "), tokenizer.limit).split()
            read = "".join(words)
            reading.words.append(len(words) if holds_words else 0)
            reading.characters.append(len(read))
            reading.letters.update(read)
    return reading


def _numbers(
    reading: _Reading, labels: Sequence[int], max_length: int, tokenizer: Tokenizer, long_texts: LongTexts
) -> dict[str, float]:
    """The numbers of `Inspection.tokens`; shares are from 0 to 1."""
    import numpy as np

    tokens, lost = np.array(reading.tokens), np.array(reading.lost)
    same, other_label = _same(reading, labels)
    paired = isinstance(tokenizer, PairTokenizer)  # which are read in one way only
    return {
        "texts": len(tokens),
        "median_tokens": float(np.median(tokens)),
        "max_length": max_length,
        "cut": float((lost > 0).mean()),
        "lost": float(np.median(lost[lost > 0])) if lost.any() else 0.0,
        "unknown": sum(reading.unknown) / max(int(tokens.sum()), 1),
        "hardly_read": reading.hardly / len(tokens),
        "spelt": reading.spelt / len(tokens),
        "tokens_per_character": float(tokens.sum() / max(sum(reading.characters), 1)),
        "same": len(same) / len(tokens),
        "same_other_label": len(other_label) / len(tokens),
        **({} if paired else _by_way(tokens, tokenizer.capacity(max_length), long_texts)),
    }


def _by_way(tokens: np.ndarray, capacity: int, long_texts: LongTexts) -> dict[str, float]:
    """Where texts are longer than a row: the share of all tokens that each way reads, and what the chosen way reads."""
    if not (tokens > capacity).any():
        return {}
    ways_of = {"head": HEAD_ONLY, "head_tail": LongTexts("head-tail"), "windows": _ALL}
    if long_texts.way == "windows":
        ways_of["windows"] = long_texts
    numbers = {f"read_{name}": float(way.read(tokens, capacity).sum() / tokens.sum()) for name, way in ways_of.items()}
    if long_texts.way == "windows":
        numbers["windows"] = float(long_texts.windows(tokens, capacity).mean())
    if long_texts.way == "head-tail":
        numbers["tail"] = float(capacity - long_texts.head(capacity))
    return numbers


def _same(reading: _Reading, labels: Sequence[int]) -> tuple[list[int], list[int]]:
    """Texts with the same tokens as another text, and those of them where another one has a different label."""
    sizes = Counter(reading.row)
    labels_of: dict[int, set[int]] = {}
    for row, label in zip(reading.row, labels, strict=True):
        labels_of.setdefault(row, set()).add(label)
    same = [text for text, row in enumerate(reading.row) if sizes[row] > 1]
    return same, [text for text in same if len(labels_of[reading.row[text]]) > 1]


def _warnings(
    reading: _Reading,
    numbers: dict[str, float],
    labels: Sequence[int],
    name: str,
    sampled: str,
    tokenizer: Tokenizer,
    unknown: int | None,
) -> Iterator[str]:
    if numbers["unknown"] >= UNKNOWN or numbers["hardly_read"] >= UNKNOWN:
        yield _hardly_read(reading, numbers, name, tokenizer, unknown)
    elif numbers["spelt"] >= UNKNOWN:
        yield (
            f"{name} reads {_percent(numbers['spelt'])} of the texts letter by letter: its vocabulary has the letters, and "
            f"not the words. Take a checkpoint of the texts' language, or a multilingual one: {MULTILINGUAL}."
        )
    same, other_label = _same(reading, labels)
    if numbers["same"] >= SAME or numbers["same_other_label"] >= SAME_OTHER_LABEL:
        sequences = count(len({reading.row[text] for text in same}), "token sequence")
        text = f"For {name}, {count(len(same), 'text')}{sampled} become {sequences}, so it cannot tell them apart"
        yield f"{text}; {len(other_label):,} share it with texts of other labels." if other_label else f"{text}."
    if numbers["cut"] >= CUT and numbers["lost"] >= LOST and not {"windows", "tail"} & {*numbers}:
        length, limit = int(numbers["max_length"]), tokenizer.limit
        windows = "" if isinstance(tokenizer, PairTokenizer) else 'set long_texts = "windows", or '
        more = (
            f"{windows}raise max_length, up to {limit:,}, unless the beginnings suffice"
            if length < limit
            else f"{windows}take a checkpoint that reads more: {LONG}"
        )
        yield (
            f"{name} reads the first {length:,} tokens: {_percent(numbers['cut'])} of the texts are longer, and half of "
            f"these lose {_percent(numbers['lost'])} or more; {more}."
        )


def _hardly_read(
    reading: _Reading, numbers: dict[str, float], name: str, tokenizer: Tokenizer, unknown: int | None
) -> str:
    """Which scripts or characters the vocabulary lacks."""
    if numbers["unknown"] >= UNKNOWN:
        text = f"{name} reads {_percent(numbers['unknown'])} of the tokens as unknown"
    else:
        text = f"{name} hardly reads {_percent(numbers['hardly_read'])} of the texts"
    missing = _missing(reading.letters, tokenizer, unknown)
    by_script: dict[str, Counter[bool]] = {}
    for letter, rows in reading.letters.items():
        if unicodedata.category(letter).startswith("L"):
            by_script.setdefault(_script(letter), Counter())[letter in missing] += rows
    lacking = [
        f"{_percent(counts[True] / counts.total())} of the {script} letters"
        for script, counts in sorted(by_script.items(), key=lambda each: -each[1][True])
        if counts[True] >= _MISSING * counts.total()
    ]
    if lacking:
        return f"{text}: its vocabulary lacks {listing(lacking, 3)}. Take a multilingual checkpoint: {MULTILINGUAL}."
    frequent = [letter for letter, _ in reading.letters.most_common() if letter in missing][:3]
    shown = f", such as {listing(map(repr, frequent), 3)}" if frequent else ""
    return f"{text}{shown}. Look at these texts, or take another checkpoint: {MULTILINGUAL}."


def _missing(letters: Counter[str], tokenizer: Tokenizer, unknown: int | None) -> set[str]:
    """Characters for which the vocabulary has no token: alone, they become unknown or several tokens."""
    characters = list(letters)
    missing = set()
    for batch in _batches(characters):
        for letter, ids, pair in zip(
            batch, tokenizer.encode(batch), tokenizer.encode([2 * each for each in batch]), strict=True
        ):
            # SentencePiece puts a token for the beginning before a letter: what the second letter adds is its own.
            if unknown in ids or (len(ids) > 1 and len(pair) - len(ids) > 1):
                missing.add(letter)
    return missing


def _script(letter: str) -> str:
    from fontTools import unicodedata as scripts

    return str(scripts.script_name(scripts.script(letter)))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _sample(items: Sequence[T]) -> list[T]:
    """At most `MOST_TEXTS` of them, evenly spaced."""
    step = -(-len(items) // MOST_TEXTS) or 1
    return list(items[::step])


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[begin : begin + _BATCH] for begin in range(0, len(texts), _BATCH))
