"""One line of the archive as a mapping: JSON, or a Python literal, which is read but never evaluated."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

LONGEST_LITERAL = 2**20
"""Characters a Python literal may have: the parser takes some hundred times as much memory."""


def parse(line: bytes) -> Mapping[str, Any]:
    """Read one review. Raises: ValueError saying what is wrong with the line."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} of the line is not UTF-8") from None
    try:
        review = json.loads(text)
    except (ValueError, RecursionError):
        review = _literal(text.strip())
    if not isinstance(review, Mapping):
        raise ValueError("it is no JSON object and no Python literal of one")
    return review


def stars(review: Mapping[str, Any]) -> int:
    """The number of stars, from 1 to 5. Raises: ValueError."""
    given = review.get("overall")
    if isinstance(given, bool) or not isinstance(given, int | float) or given not in (1, 2, 3, 4, 5):
        raise ValueError(f"overall is {given!r:.40}, not 1 to 5 stars" if "overall" in review else "it has no overall")
    return int(given)


def text(review: Mapping[str, Any], field: str) -> str:
    """A field's text, empty where there is none. Raises: ValueError."""
    given = review.get(field)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise ValueError(f"{field} is {given!r:.40}, not text")
    return given


def year(review: Mapping[str, Any]) -> int | None:
    """The year of the review (UTC), or None where it does not say."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(review.get("unixReviewTime", ""), UTC).year
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _literal(text: str) -> Any:
    """A Python literal's value; names, calls and whatever else could run are none."""
    if not text.startswith("{") or len(text) > LONGEST_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
