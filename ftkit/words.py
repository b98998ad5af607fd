"""Numbers, times and values as a person reads them: one way of writing each, on every screen and page."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
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
