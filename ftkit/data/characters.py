"""Characters that nobody sees but a tokenizer does: left by web pages, word processors and wrong decoding.

Joiners are part of how emoji, Persian or Hindi are written, and marks of direction of how Arabic and Latin are mixed: zero-width
characters count only between two Latin letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ftkit.formatting import count, listing, percent

MANY = 0.01
"""Share of texts from which they are a warning: what one text in a hundred has, training takes for a sign."""

_INVISIBLE = re.compile(
    "[\u00ad\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffd]|(?<=[A-Za-z])[\u200b-\u200f](?=[A-Za-z])"
)
_NAMES = {"\ufeff": "byte order mark", "\ufffd": "replacement character"}


@dataclass(frozen=True)
class Invisible:
    """The texts that have such characters."""

    texts: int
    total: int
    characters: Mapping[str, int]
    """Texts by character."""

    @property
    def many(self) -> bool:
        """Whether this is a warning."""
        return self.texts >= MANY * self.total

    def __str__(self) -> str:
        names = [f"{_name(character)} in {number:,}" for character, number in self.characters.items()]
        return (
            f"{count(self.texts, 'text')} ({percent(self.texts / self.total)}) have characters that cannot be seen or were lost: "
            f"{listing(names, 4)}. A tokenizer may split words there: take them out here and in live texts, or find where they "
            "come from."
        )


def invisible(texts: Iterable[str]) -> Invisible | None:
    """The invisible characters of texts, the most frequent first; None if there are none."""
    characters: Counter[str] = Counter()
    total = affected = 0
    for text in texts:
        total += 1
        if not text.isascii() and (present := set(_INVISIBLE.findall(text))):
            affected += 1
            characters.update(present)
    return Invisible(affected, total, dict(characters.most_common())) if affected else None


def _name(character: str) -> str:
    return f"{_NAMES.get(character) or unicodedata.name(character).lower()} (U+{ord(character):04X})"
