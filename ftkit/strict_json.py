"""JSON that may have been written by anybody: read whole, or refused.

Python's own reader takes the last of two equal keys, without a word, and raises what nobody expects for lists in a thousand lists.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DEEPEST = 64
"""How many times lists and objects may lie in each other: what reads them after this goes into each."""


def parse(text: str | bytes) -> Any:
    """The value of a text. Raises: ValueError, also where an object has a key twice, or lists lie in each other too deeply."""
    try:
        value = json.loads(text, object_pairs_hook=once)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if too_deep(value, DEEPEST):
        raise ValueError(_TOO_DEEP)
    return value


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The object of a text. Raises: ValueError, also for any other value."""
    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """The object in a file. Raises: OSError; ValueError."""
    return parse_object(path.read_text(encoding="utf-8"))


def too_deep(value: Any, deepest: int) -> bool:
    """Whether lists and objects lie in each other more than `deepest` times."""
    level = [value]
    for _ in range(deepest + 1):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return bool(level)


_TOO_DEEP = f"lists and objects are nested too deeply, more than {DEEPEST} times"


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for a decoder of Python's `json`. Raises: ValueError for a key that is there twice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {key[:40]!r} is there twice")
    return table
