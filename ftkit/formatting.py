"""Numbers, times and texts as people read them: one form of each on screens, on pages and in sentences."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from ftkit import pairs


def duration(seconds: float) -> str:
    """A length of time: `0.4 s`, `12 s`, `2 min 05 s`, `1 h 04 min`."""
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


def rounded(value: float) -> str:
    """A number in a sentence: four decimals, or two digits where four decimals would show zeros only."""
    if math.isnan(value):
        return "no value"
    return f"{value:.2g}" if value and abs(value) < 5e-5 else f"{value:.4f}"


def score(value: float | None) -> str:
    """A metric in a table: as `rounded` writes it; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else rounded(value)


def signed(value: float) -> str:
    """A difference with its sign; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return "0.0000" if abs(value) < 0.00005 else f"{value:+.4f}".replace("-", "−")


def percent(share: float) -> str:
    """A share in percent: one decimal, or two digits where one decimal would show zeros only."""
    return f"{100 * share:.2g} %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """A number and its noun in singular or plural: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def megabytes(value: float | None) -> str:
    """Memory in MB or GB, a dash where it is not known: `850 MB`, `1.8 GB`."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.1f} GB"


def millions(number: int) -> str:
    """A number of parameters as people say it: `22.7 million`, `109 million`."""
    return f"{number / 1e6:.3g} million"


def amount(number: int, unit: str) -> str:
    """How much of a unit, bytes in the size that suits them: `20,473 rows`, `4.7 MB`."""
    if unit.lower() in ("b", "bytes"):
        size = float(number)
        for name in ("bytes", "kB", "MB", "GB"):
            if size < 1000 or name == "GB":
                return f"{number} bytes" if name == "bytes" else f"{size:.1f} {name}"
            size /= 1000
    return f"{number:,} {unit}".rstrip()


def value(option: Any, width: int = 24) -> str:
    """The value of a hyperparameter or option: numbers short, paths by their end, never longer than `width`."""
    if isinstance(option, bool):
        return "true" if option else "false"
    if isinstance(option, float):
        return f"{option:.4g}"
    if isinstance(option, PurePath) or (isinstance(option, str) and os.sep in option and len(option) > width):
        return ending(str(option), width)
    if isinstance(option, list | tuple):
        option = ", ".join(value(each, width) for each in option)
    return beginning(str(option), width)


def values(options: Mapping[str, Any], width: int = 24) -> str:
    """Hyperparameters on one line: `learning_rate 5e-05, epochs 3`."""
    return ", ".join(f"{name} {value(each, width)}" for name, each in options.items()) or "as in the recipe"


def metrics(scores: Mapping[str, float]) -> str:
    """Metrics on one line: `accuracy 0.9500, macro_f1 0.9401`."""
    return ", ".join(f"{name} {score(each)}" for name, each in scores.items())


def traffic(shares: Mapping[str, int]) -> str:
    """Each deployment's share of an endpoint's requests, on one line: `blue 90 %, green 10 %`."""
    return ", ".join(f"{name} {share} %" for name, share in shares.items()) or "none"


def listing(names: Iterable[str], limit: int = 8) -> str:
    """The first names of a list on one line, and how many more there are."""
    names = list(names)
    shown = ", ".join(printable(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def capital(text: str) -> str:
    """A text with a capital at its beginning, as a sentence begins."""
    return text[:1].upper() + text[1:]


def beginning(text: str, width: int) -> str:
    """The beginning of a long text on one line, cut between words where that leaves more than half of the width."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    head = text[: width - 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > width // 2 else head) + "…"


def ending(text: str, width: int) -> str:
    """The end of a long text: where paths differ."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def quoted(text: str, width: int = 60) -> str:
    """A text in a sentence: its beginning on one line, in quotation marks, with nothing that cannot be printed."""
    return f"“{beginning(printable(text), width)}”"


def printable(text: str) -> str:
    """The text on one line, with an escape in place of each character that cannot be printed or encoded."""
    # Callers show the beginning of a text, so that a text of a megabyte need not be processed whole.
    joined = " ".join(pairs.shown(text[:2000]).split()).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() or char in JOINERS else escaped(char) for char in joined)


JOINERS = "\u200c\u200d"
"""Zero-width joiners: invisible, yet part of how Persian, Hindi and emoji are written."""


def escaped(char: str) -> str:
    """A character as an escape of Python's source code."""
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
