"""When rows were written: dates and times of a column as numbers that can be compared, without guessing.

One form reads all values of a column. Where the first values could be days and months in either order, there is none.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

Reader = Callable[[Any], float]
"""Seconds since 1970 of a value, or the number itself where the column has numbers. Raises: ValueError."""

NAME = re.compile(r"(^|_|\b)(date|datetime|time|timestamp|year|created|posted|published|written|updated)(\b|_|$)|_at$")
"""Names of columns that say when a row was written."""

LOOK = 200
"""Values by which a form is decided."""
ENOUGH = 0.95
"""Share of the first values that one form must read: the others are damaged."""

_TIMES = ("", " %H:%M", " %H:%M:%S")
_DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_FORMS = (*(day + time for day in _DAYS for time in _TIMES), "%Y-%m-%d %H:%M:%S %Z", "%a %b %d %H:%M:%S %z %Y")


def reader(values: Sequence[Any], *, numbers: bool = False) -> Reader | None:
    """What reads these values, the first of a column, but for a few; None if nothing does, or if two readers disagree.

    Whether a column of numbers says when its rows were written, nobody can know but by its name: only with `numbers` are they
    read.
    """
    values = [value for value in values if not missing(value)][:LOOK]
    if not values:
        return None
    able = [each for each in _readers(numbers) if any(math.isfinite(_read(each, value)) for value in values[:5])]
    readings = {each: [_read(each, value) for value in values] for each in able}
    fitting = {each: read for each, read in readings.items() if sum(map(math.isfinite, read)) >= ENOUGH * len(values)}
    alike = all(
        len({moment for moment in moments if math.isfinite(moment)}) < 2
        for moments in zip(*fitting.values(), strict=True)
    )
    return next(iter(fitting)) if fitting and alike else None


def missing(value: Any) -> bool:
    """Whether a cell has no value."""
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
    )


def shown(moment: float, *, dated: bool) -> str:
    """A moment as people write it: a date, or the number."""
    if not dated:
        return f"{moment:.15g}"
    try:
        at = datetime.fromtimestamp(moment, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{moment:.15g}"
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def is_number(read: Reader) -> bool:
    """Whether a reader takes numbers as they are."""
    return read is _number


def _readers(numbers: bool) -> list[Reader]:
    return [_iso, _mail, *map(_by_form, _FORMS), *([_number] if numbers else [])]


def _read(read: Reader, value: Any) -> float:
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def _iso(value: Any) -> float:
    """A date of ISO 8601, or one of a format that has dates."""
    if isinstance(value, str):
        text = value.strip()
        if not re.match(r"\d{4}-\d\d", text):
            raise ValueError("no date of ISO 8601")
        value = datetime.fromisoformat(text if len(text) > 7 else f"{text}-01")
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    raise ValueError("no date")


def _mail(value: Any) -> float:
    """A date as mails have it. Source: RFC 2822."""
    if not isinstance(value, str) or not re.match(r"\s*(\w{3},\s+)?\d{1,2}\s+\w{3}\s+\d{4}\s+\d\d:", value):
        raise ValueError("no date of a mail")
    return _iso(parsedate_to_datetime(value))


@functools.cache
def _by_form(form: str) -> Reader:
    @functools.lru_cache(2**16)
    def read(value: Any) -> float:
        if not isinstance(value, str):
            raise ValueError("no text")
        return _iso(datetime.strptime(value.strip(), form))  # noqa: DTZ007  # _iso takes it as UTC

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("no number")
    return float(value)
