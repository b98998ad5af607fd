"""What counts as a word, by one rule for all languages: what stands between white space, or one character.

Some scripts do not put spaces between words. There, every character with its combining marks is a word: where words
end is a question of meaning that only a dictionary answers, and a character holds about as much as a word of few
letters.

Source: Unicode Standard Annex #29, "Unicode Text Segmentation", section 4, names the scripts that need a dictionary.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from ftkit import pairs

UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, number zero
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo, extended
    (0x31F0, 0x31FF),  # Katakana, extended
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # Myanmar, extended
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),  # Han, for compatibility
    (0xFF66, 0xFF9F),  # Katakana of half width
    (0x1AFF0, 0x1B16F),  # Kana, supplements
    (0x20000, 0x3FFFF),  # Han, supplementary planes
)
"""First and last code points of the scripts without spaces between words."""

_LETTER = re.compile(r"\w")


def count_words(text: str) -> int:
    """The number of words of a text.

    Where a text has characters of scripts without spaces, punctuation is no word of its own.
    """
    if text.isascii():
        return len(text.split())
    text = text.replace(pairs.SEPARATOR, " ")
    if not (unspaced := _unspaced()).search(text):
        return len(text.split())
    return sum(_LETTER.search(part) is not None for part in unspaced.sub(r" \g<0> ", text).split())


def ranges() -> str:
    """The characters of scripts without spaces, as a regular expression has them between brackets."""
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)


@functools.cache
def marks() -> str:
    """The combining marks of scripts without spaces: vowels and tones that belong to the character before them."""
    ideographs = 0x20000  # nothing else is in the planes from there on
    characters = (chr(code) for first, last in UNSPACED if first < ideographs for code in range(first, last + 1))
    return "".join(each for each in characters if unicodedata.category(each).startswith("M"))


@functools.cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{ranges()}]")
