"""Small changes to an English text that leave its meaning as it was.

Each takes a text and a source of chance and returns the changed text, or None where there is nothing to change.

Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", invariance tests.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

Kind = Literal["typos", "lower case", "upper case", "punctuation", "contractions", "names", "numbers", "added sentence"]

KINDS: tuple[Kind, ...] = get_args(Kind)

SENTENCES = (
    "I am writing this on a Tuesday.",
    "The parcel came in a brown box.",
    "My neighbour has a red car.",
    "It was raining when I sat down to write.",
    "There are twelve months in a year.",
)
"""What says nothing about anything a text may be classified by."""

NAMES = (
    "Alice", "Andrew", "Anna", "Barbara", "Brian", "Carol", "Charles", "Daniel", "David", "Deborah", "Donald",
    "Edward", "Elizabeth", "Emily", "Emma", "Eric", "George", "Helen", "James", "Jennifer", "Jessica", "John",
    "Joseph", "Karen", "Kevin", "Laura", "Linda", "Lisa", "Maria", "Mary", "Matthew", "Michael", "Nancy",
    "Patricia", "Paul", "Peter", "Richard", "Robert", "Sandra", "Sarah", "Stephen", "Steven", "Susan", "Thomas",
    "William",
)  # fmt: skip
"""Frequent first names that are hardly ever anything else."""

_PAIRS = {
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "were not": "weren't",
    "do not": "don't",
    "does not": "doesn't",
    "did not": "didn't",
    "have not": "haven't",
    "has not": "hasn't",
    "had not": "hadn't",
    "will not": "won't",
    "would not": "wouldn't",
    "could not": "couldn't",
    "should not": "shouldn't",
    "cannot": "can't",
    "I am": "I'm",
    "it is": "it's",
    "that is": "that's",
    "you are": "you're",
    "they are": "they're",
    "we are": "we're",
    "I have": "I've",
    "I will": "I'll",
}


def changed(kind: Kind, text: str, seed: str, place: str = "start", sentences: Sequence[str] = SENTENCES) -> str | None:
    """The text changed in one way, or None where that way does not apply; one seed always changes it alike."""
    chance = random.Random(f"{kind} {seed}")
    if kind == "added sentence":
        return put(chance.choice(list(sentences)), text, place)
    after = _CHANGES[kind](text, chance)
    return after if after != text else None


def put(sentence: str, text: str, place: str) -> str:
    """The text with a sentence before or behind it."""
    if not text.strip():
        return sentence
    return f"{sentence} {text}" if place == "start" else f"{text} {sentence}"


def _typos(text: str, chance: random.Random) -> str:
    """Two neighbouring letters inside one word change places."""
    spots = [
        word.start() + place
        for word in re.finditer(r"[^\W\d_]{4,}", text)
        for place in range(1, len(word[0]) - 2)
        if word[0][place] != word[0][place + 1]
    ]
    if not spots:
        return text
    spot = chance.choice(spots)
    return text[:spot] + text[spot + 1] + text[spot] + text[spot + 2 :]


def _punctuation(text: str, chance: random.Random) -> str:
    """The mark at the end goes, or comes."""
    bare = text.rstrip()
    if not bare:
        return text
    shorter = bare.rstrip(".!?")
    return shorter if shorter and shorter != bare else f"{bare}." if shorter else text


def _contractions(text: str, chance: random.Random) -> str:
    """Short forms become long where there are any; if not, long forms become short."""
    longer = _SHORT.sub(lambda found: _like(found[0], _LONG_OF[_plain(found[0])]), text)
    return longer if longer != text else _LONG.sub(lambda found: _like(found[0], _SHORT_OF[found[0].lower()]), text)


def _names(text: str, chance: random.Random) -> str:
    """First names become others, one and the same for each."""
    swapped: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        if found[0] not in swapped:
            swapped[found[0]] = chance.choice([name for name in NAMES if name != found[0]])
        return swapped[found[0]]

    return _NAME.sub(other, text)


def _numbers(text: str, chance: random.Random) -> str:
    """Numbers of several digits become others of as many digits."""

    def other(found: re.Match[str]) -> str:
        low = 10 ** (len(found[0]) - 1)
        drawn = chance.randrange(low, 10 * low - 1)
        return str(drawn + (drawn >= int(found[0])))

    return _NUMBER.sub(other, text)


def _plain(found: str) -> str:
    return found.replace("’", "'").lower()


def _like(model: str, text: str) -> str:
    """The text, beginning with a capital where the model does."""
    return text[0].upper() + text[1:] if model[0].isupper() else text


_SHORT_OF = {long.lower(): short for long, short in _PAIRS.items()}
_LONG_OF = {short.lower(): long for long, short in _PAIRS.items()}
_LONG = re.compile(rf"\b({'|'.join(_SHORT_OF)})\b", re.IGNORECASE)
_SHORT = re.compile(
    rf"\b({'|'.join(each.replace(chr(39), '[’' + chr(39) + ']') for each in _LONG_OF)})\b", re.IGNORECASE
)
_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")
# A single digit, or one before a slash, a percent sign or stars, is a judgement rather than a quantity; so is one behind
# a currency sign or within a longer figure.
_NUMBER = re.compile(
    r"(?<![\w./,:$€£-])[1-9]\d{1,8}(?![\w/%:]|[.,]\d|\s*(?:%|stars?\b|out of\b|percent\b|/))", re.IGNORECASE
)

_CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "typos": _typos,
    "lower case": lambda text, chance: text.lower(),
    "upper case": lambda text, chance: text.upper(),
    "punctuation": _punctuation,
    "contractions": _contractions,
    "names": _names,
    "numbers": _numbers,
}
