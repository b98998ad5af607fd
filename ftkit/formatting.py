"""Numbers, times and texts as a person reads them: one way of writing each, on every screen, page and sentence."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any


def duration(seconds: float) -> str:
    """A stretch of time: `0.4 s`, `12 s`, `2 min 05 s`, `1 h 04 min`."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def score(value: float | None) -> str:
    """A metric with four decimals; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4f}"


def megabytes(value: float | None) -> str:
    """Memory: `850 MB`, `1.8 GB`."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.1f} GB"


def amount(count: int, unit: str) -> str:
    """A count of something: `20,473 rows`, `4.7 MB`."""
    if unit.lower() in ("b", "bytes"):
        size = float(count)
        for name in ("bytes", "kB", "MB", "GB"):
            if size < 1000 or name == "GB":
                return f"{count} bytes" if name == "bytes" else f"{size:.1f} {name}"
            size /= 1000
    return f"{count:,} {unit}".rstrip()


def value(thing: Any, width: int = 24) -> str:
    """One hyperparameter or option: numbers short, paths by their end, never longer than `width`."""
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, float):
        return f"{thing:.4g}"
    if isinstance(thing, PurePath) or (isinstance(thing, str) and os.sep in thing and len(thing) > width):
        return ending(str(thing), width)
    if isinstance(thing, list | tuple):
        thing = ", ".join(value(each, width) for each in thing)
    text = " ".join(str(thing).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def ending(text: str, width: int) -> str:
    """The end of a long text, which is what tells one path from another."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def beginning(text: str, width: int) -> str:
    """The beginning of a long text on one line, cut between words where it can be."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    head = text[: width - 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > width // 2 else head) + "…"


def values(mapping: Mapping[str, Any], width: int = 24) -> str:
    """Hyperparameters in one line: `learning_rate 5e-05, epochs 3`."""
    return ", ".join(f"{key} {value(each, width)}" for key, each in mapping.items()) or "as in the recipe"


def metrics(mapping: Mapping[str, float]) -> str:
    """Metrics in one line: `accuracy 0.9500, macro_f1 0.9401`."""
    return ", ".join(f"{key} {score(each)}" for key, each in mapping.items())


def listing(names: Iterable[str], limit: int = 8) -> str:
    """Names in one line, the last of very many counted only."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def traffic(shares: Mapping[str, int]) -> str:
    """Who takes which share of an endpoint's requests."""
    return ", ".join(f"{name} {share} %" for name, share in shares.items()) or "none"


def rounded(value: float) -> str:
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
