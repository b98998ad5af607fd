"""Parse one line of the archive: JSON, or a Python literal, which is parsed but never run as code."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

LONGEST_LITERAL = 2**20
"""Characters that a Python literal may have: its parser needs about a hundred times as much memory."""


def parse(line: bytes) -> Mapping[str, Any]:
    """Read one review. Raises: ValueError with what is wrong with the line."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} of the line is not UTF-8") from None
    try:
        review = json.loads(text)
    except (ValueError, RecursionError):
        review = _literal(text.strip())
    if not isinstance(review, Mapping):
        raise ValueError("neither a JSON object nor a Python dict")
    return review


def stars(review: Mapping[str, Any]) -> int:
    """The number of stars, from 1 to 5. Raises: ValueError."""
    if "overall" not in review:
        raise ValueError("it has no key 'overall'")
    stars = review["overall"]
    if isinstance(stars, bool) or not isinstance(stars, int | float) or stars not in (1, 2, 3, 4, 5):
        raise ValueError(f"overall is {stars!r:.40}, not 1 to 5 stars")
    return int(stars)


def text(review: Mapping[str, Any], field: str) -> str:
    """A field's text, empty where the field is missing. Raises: ValueError."""
    value = review.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{field} is {value!r:.40}, not text")
    return value


def day(review: Mapping[str, Any]) -> date | None:
    """The day of the review (UTC), or None where it is missing."""
    try:
        return datetime.fromtimestamp(review.get("unixReviewTime", ""), UTC).date()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _literal(text: str) -> Any:
    """The value of a Python literal, or None for anything else, such as names and calls."""
    if not text.startswith("{") or len(text) > LONGEST_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
