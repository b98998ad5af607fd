"""Numbers and texts as a sentence takes them: short, on one line, and nothing that cannot be written down."""

from __future__ import annotations

import math
from collections.abc import Sequence


def figure(value: float) -> str:
    """A number for a sentence: four decimals, or two digits where those would show nothing."""
    if math.isnan(value):
        return "no value"
    return f"{value:.2g}" if value and abs(value) < 5e-5 else f"{value:.4f}"


def signed(value: float) -> str:
    """A difference with its sign."""
    if math.isnan(value):
        return "–"
    return "0.0000" if abs(value) < 0.00005 else f"{value:+.4f}".replace("-", "−")


def percent(share: float) -> str:
    """A share for a sentence: one decimal, or two digits where that would show nothing."""
    return f"{100 * share:.2g} %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def capital(text: str) -> str:
    """A sentence's beginning."""
    return text[:1].upper() + text[1:]


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def quoted(text: str, longest: int = 60) -> str:
    """A text for a sentence: on one line, short, in quotes, with nothing in it that cannot be written down."""
    shown = printable(text)
    return f"“{shown if len(shown) <= longest else shown[: longest - 1].rstrip() + '…'}”"


def printable(text: str) -> str:
    """A text with what no terminal and no file takes, such as half a surrogate pair, written as an escape."""
    # Whoever shows a text shows its beginning: a review of a megabyte need not be gone through.
    joined = " ".join(text[:2000].split()).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() or char in JOINERS else escaped(char) for char in joined)


JOINERS = "\u200c\u200d"
"""Characters without a shape of their own that Persian, Hindi and emoji are not written without."""


def escaped(char: str) -> str:
    """A character as Python's source would write it."""
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
