"""Values of a table as texts, for a form that has nothing else for them."""

from __future__ import annotations

import json
import math
from typing import Any

from ftkit.scoring.columns import joined
from ftkit.serving.schema import whole_text


def as_text(value: Any) -> str | None:
    """A value as it stands in a csv file; None for one that is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        value = joined(value)
    if isinstance(value, list | tuple | dict):
        return as_json(value)
    return str(whole_text(value if isinstance(value, str) else plain(value)))


def as_json(value: Any) -> str:
    """A value as JSON in one line: characters as they are, unless UTF-8 cannot write one."""
    text = json.dumps(value, ensure_ascii=False, default=plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=plain)
    return text


def plain(value: Any) -> Any:
    """A value that JSON has no form for, in one that it has: bytes, dates, decimal numbers."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
