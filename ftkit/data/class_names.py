"""The class that a label of any type names, and whether two names are surely the same class."""

from __future__ import annotations

import json
import math
import numbers
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ftkit.formatting import beginning

_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
    "|(?<![\u0590-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\U0010ffff])"
)
"""Control and format characters; joiners only where they do not change the shape of letters or emoji around them."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_BRACKETS = re.compile(r"[\[({](.*)[\])}]", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NUMBER_LIST = re.compile(r"[-+\d.\s,]+")


class NotOneLabel(ValueError):
    """A value that holds several labels; the message describes it: `a list of 2 (a, b)`."""


def class_name(value: Any) -> str | None:
    """A label as the name of a class, or None where there is no label. Raises: NotOneLabel.

    White space inside becomes one space, so that a name is one line everywhere.
    """
    if isinstance(value, str):
        return _class_name_of_text(value)
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real | Decimal):
        if math.isnan(value):
            return None
        return f"{value + 0:.0f}" if float(value).is_integer() else str(value)  # + 0: there is no -0
    if isinstance(value, bytes):
        return _class_name_of_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        raise NotOneLabel(f"an object ({beginning(str(dict(value)), 60)})")
    if isinstance(value, Iterable):
        return _only_label(list(value) if isinstance(value, Sequence) else sorted(value, key=str))
    written = str(value)
    return None if written in ("<NA>", "NaT") else _class_name_of_text(written)


def list_items(value: Any) -> list[Any] | None:
    """The items of a list, a tuple or a set, also of one that was written as text; None for any other value."""
    if isinstance(value, str):
        name = _plain(value)
        if name[:1] in ("[", "(", "{") and (match := _BRACKETS.fullmatch(name)):
            return [] if not match[1].strip() else _list_in_text(name, match[1].strip())
        return None
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        return None
    return list(value) if isinstance(value, Sequence) else sorted(value, key=str)


def same_class(name: str) -> str:
    """The form in which class names are compared: equal for names that are surely the same class."""
    if match := _WHOLE.fullmatch(name):
        return "0" if match[1] == "-0" else match[1]
    lower = name.lower()
    return lower if lower in ("true", "false") else name


def natural_order(name: str) -> tuple[list[tuple[int, float, str]], str]:
    """Sort key by which `2` comes before `10`, `-1` before `1`, and `item 2` before `item 10`."""
    try:
        number = float(name)
    except ValueError:
        parts = [part for part in re.split(r"(\d+)", name) if part]
        return [(1, float(part), "") if part.isdecimal() else (2, 0.0, part) for part in parts], name
    return [(0, number if math.isfinite(number) else 0.0, name)], name


def shown_name(name: str) -> str:
    """A class name in a sentence: quoted, and cut if it is long."""
    return repr(beginning(name, 60))


def _plain(text: str) -> str:
    """A text composed, without invisible characters, and with one space for each run of white space."""
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _SURROGATE.sub("\ufffd", text)))
    return " ".join(text.split())


def _class_name_of_text(text: str) -> str | None:
    name = _plain(text)
    if name[:1] in ("[", "(", "{") and (match := _BRACKETS.fullmatch(name)):
        if name.startswith(('{"', "{'")) and ":" in name:
            raise NotOneLabel(f"an object as text ({beginning(name, 60)})")
        if (items := _list_in_text(name, match[1].strip())) is not None:
            return _only_label(items)
    return name or None


def _list_in_text(name: str, inside: str) -> list[Any] | None:
    """The items of a list that was written as text by Python, NumPy or JSON; None for any other text in brackets."""
    try:
        items = json.loads(name)
    except (ValueError, RecursionError):
        pass
    else:
        return items if isinstance(items, list) else None
    if _QUOTED.search(inside) and not _QUOTED.sub("", inside).strip(" ,"):
        return [single or double for single, double in _QUOTED.findall(inside)]
    if name[0] != "[":
        return None
    if _NUMBER_LIST.fullmatch(inside) and len(inside.split()) > 1:
        return re.split(r"[\s,]+", inside)
    return inside.split(",") if "," in inside else None


def _only_label(items: Sequence[Any]) -> str | None:
    """The one label in a list. Raises: NotOneLabel."""
    names = [*dict.fromkeys(name for name in map(class_name, items) if name is not None)]
    if len(names) > 1 or (len(items) > 1 and {*names} <= {"0", "1"}):
        raise NotOneLabel(f"a list of {len(items)} ({beginning(', '.join(map(str, items)), 60)})")
    return names[0] if names else None
