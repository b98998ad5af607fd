"""Two texts in one: a pair is a text with a separator between its sides, so that whatever keeps texts keeps pairs.

The separator is a noncharacter of Unicode, reserved for use within a program: a text that has it never comes from outside.
Source: The Unicode Standard, version 16.0, section 23.7, "Noncharacters".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

SEPARATOR = "\ufdd0"
"""What stands between the sides of a pair."""
SHOWN = " | "
"""What stands there for a reader."""
TEXT = ("text",)
"""The names of the texts of a row that is no pair."""

_REPLACEMENT = "\ufffd"


def join(first: str, second: str) -> str:
    """A pair as one text."""
    return f"{_side(first)}{SEPARATOR}{_side(second)}"


def sides(text: str) -> tuple[str, str]:
    """Both sides of a pair; of any other text, the text and an empty side."""
    first, _, second = text.partition(SEPARATOR)
    return first, second


def is_pair(text: str) -> bool:
    """Whether a text has two sides."""
    return SEPARATOR in text


def changed(text: str, change: Callable[[str], str]) -> str:
    """A text with a change, or a pair with a change of each side."""
    return join(*map(change, sides(text))) if is_pair(text) else change(text)


def shown(text: str) -> str:
    """A text as a reader sees it."""
    return text.replace(SEPARATOR, SHOWN)


def as_row(text: str, fields: Sequence[str] = TEXT) -> dict[str, str]:
    """The row of a request with this text, or with both sides of this pair."""
    return dict(zip(fields, sides(text) if len(fields) > 1 else (text,), strict=True))


def of_row(row: Mapping[str, str], fields: Sequence[str] = TEXT) -> str:
    """The text of a row of a request. Raises: KeyError without one of its fields."""
    return join(*(row[name] for name in fields)) if len(fields) > 1 else row[fields[0]]


def _side(text: str) -> str:
    return text.replace(SEPARATOR, _REPLACEMENT)
