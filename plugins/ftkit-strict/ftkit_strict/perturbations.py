"""Small changes to an English text that leave its meaning as it was.

Each takes a text and a random generator and returns the changed text; the same text where there is nothing to change.

Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", invariance tests.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from ftkit.formatting import capital

Kind = Literal["typos", "lower case", "upper case", "punctuation", "contractions", "names", "numbers", "added sentence"]

KINDS: tuple[Kind, ...] = get_args(Kind)

SENTENCES = (
    "I am writing this on a Tuesday.",
    "The parcel came in a brown box.",
    "My neighbour has a red car.",
    "It was raining when I sat down to write.",
    "There are twelve months in a year.",
)
"""Sentences that say nothing about anything a text may be classified by."""

NAMES = (
    "Alice", "Andrew", "Anna", "Barbara", "Brian", "Carol", "Charles", "Daniel", "David", "Deborah", "Donald",
    "Edward", "Elizabeth", "Emily", "Emma", "Eric", "George", "Helen", "James", "Jennifer", "Jessica", "John",
    "Joseph", "Karen", "Kevin", "Laura", "Linda", "Lisa", "Maria", "Mary", "Matthew", "Michael", "Nancy",
    "Patricia", "Paul", "Peter", "Richard", "Robert", "Sandra", "Sarah", "Stephen", "Steven", "Susan", "Thomas",
    "William",
)  # fmt: skip
"""Frequent first names that are hardly ever other words."""

_CONTRACTIONS = {
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


def perturb(kind: Kind, text: str, seed: str, place: str = "start", sentences: Sequence[str] = SENTENCES) -> str | None:
    """The text with one kind of change, None where it does not apply; the same seed gives the same change."""
    generator = random.Random(f"{kind} {seed}")
    if kind == "added sentence":
        return add_sentence(generator.choice(list(sentences)), text, place)
    changed = _CHANGES[kind](text, generator)
    return changed if changed != text else None


def add_sentence(sentence: str, text: str, place: str) -> str:
    """The text with a sentence before or after it."""
    if not text.strip():
        return sentence
    return f"{sentence} {text}" if place == "start" else f"{text} {sentence}"


def _typos(text: str, generator: random.Random) -> str:
    """Two neighbouring letters inside one word are swapped."""
    places = [
        word.start() + place
        for word in re.finditer(r"[^\W\d_]{4,}", text)
        for place in range(1, len(word[0]) - 2)
        if word[0][place] != word[0][place + 1]
    ]
    if not places:
        return text
    place = generator.choice(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _punctuation(text: str, generator: random.Random) -> str:
    """The mark at the end is removed, or a full stop is added."""
    stripped = text.rstrip()
    unmarked = stripped.rstrip(".!?")
    if not unmarked:
        return text
    return unmarked if unmarked != stripped else f"{stripped}."


def _contractions(text: str, generator: random.Random) -> str:
    """Short forms become long where there are any; if not, long forms become short."""
    longer = _SHORT.sub(lambda match: _like(match[0], _LONG_OF[match[0].replace("’", "'").lower()]), text)
    return longer if longer != text else _LONG.sub(lambda match: _like(match[0], _SHORT_OF[match[0].lower()]), text)


def _names(text: str, generator: random.Random) -> str:
    """First names become other names, the same one wherever a name comes again."""
    replacements: dict[str, str] = {}

    def replacement(match: re.Match[str]) -> str:
        if match[0] not in replacements:
            replacements[match[0]] = generator.choice([name for name in NAMES if name != match[0]])
        return replacements[match[0]]

    return _NAME.sub(replacement, text)


def _numbers(text: str, generator: random.Random) -> str:
    """Numbers of several digits become others of as many digits."""

    def replacement(match: re.Match[str]) -> str:
        low = 10 ** (len(match[0]) - 1)
        drawn = generator.randrange(low, 10 * low - 1)
        return str(drawn + (drawn >= int(match[0])))

    return _NUMBER.sub(replacement, text)


def _like(original: str, text: str) -> str:
    """The text, with a capital at its beginning where the original has one."""
    return capital(text) if original[0].isupper() else text


_SHORT_OF = {long.lower(): short for long, short in _CONTRACTIONS.items()}
_LONG_OF = {short.lower(): long for long, short in _CONTRACTIONS.items()}
_LONG = re.compile(rf"\b({'|'.join(_SHORT_OF)})\b", re.IGNORECASE)
_SHORT = re.compile(
    rf"\b({'|'.join(each.replace(chr(39), '[’' + chr(39) + ']') for each in _LONG_OF)})\b", re.IGNORECASE
)
_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")
# Left alone: a single digit, a number before a slash, a percent sign or stars (a judgement rather than a quantity), one after a
# currency sign, and a part of a longer number.
_NUMBER = re.compile(
    r"(?<![\w./,:$€£-])[1-9]\d{1,8}(?![\w/%:]|[.,]\d|\s*(?:%|stars?\b|out of\b|percent\b|/))", re.IGNORECASE
)

_CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "typos": _typos,
    "lower case": lambda text, generator: text.lower(),
    "upper case": lambda text, generator: text.upper(),
    "punctuation": _punctuation,
    "contractions": _contractions,
    "names": _names,
    "numbers": _numbers,
}
