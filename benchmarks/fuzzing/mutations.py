"""Damages bytes, texts and values: what a seeded generator does to something valid."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

ODD_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ufeffa",
    "\u202eabc",
    "e\u0301",
    "\u00a0",
    "\u2028",
    "\x1b[31m",
    "ß" * 300,
    "²",
    "١٢٣",
    "👩‍👩‍👧‍👦",
    "\ud83d",
    "\udcff",
    "a" * 70_000,
    "../../etc/passwd",
    "/dev/zero",
    "~root",
    "C:\\x",
    "none",
    "NaN",
    "-1",
    "%s%n{0}{x}",
    "'; drop table x; --",
    "\r\n",
    "\t",
    '"',
    "[" * 50,
)
"""Texts that somebody's code is not ready for."""

ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\r",
    b"\n\n",
    b'"',
    b"'",
    b"[",
    b"{",
    b"}",
    b",",
    b"\\",
    b"\x1b",
    b"\x00" * 64,
    b"9" * 5000,
    b"[" * 3000,
    b"a" * 100_000,
)


class Raw(str):
    """A token that JSON's writer is to write as it is."""


class Twice(dict[str, Any]):
    """An object whose key `doubled` is written twice, with another value the second time."""

    doubled: str = ""
    second: Any = None


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    10**6,
    2**63,
    10**40,
    0.0,
    -0.0,
    0.5,
    1e300,
    Raw("1e999"),
    Raw("-1e999"),
    Raw("NaN"),
    Raw("Infinity"),
    Raw("9" * 5000),
    Raw("[" * 2000 + "]" * 2000),
    Raw("[" * 100_000 + "]" * 100_000),
    Raw('{"a":' * 2000 + "1" + "}" * 2000),
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": [1]}},
    [1, "two", None],
    ["a", "a"],
    *ODD_TEXTS,
)


def damaged(random: Random, content: bytes, most: int = 4) -> bytes:
    """Bytes with one to `most` damages."""
    for _ in range(random.randint(1, most)):
        content = _damaged_once(random, content)
    return content


def one_byte_changed(random: Random, content: bytes) -> bytes:
    """Bytes of which exactly one is another one."""
    if not content:
        return b"\0"
    place = random.randrange(len(content))
    other = (content[place] + random.randint(1, 255)) % 256
    if random.random() < 0.5 and 32 < content[place] < 127:  # what stays a text is the harder case
        other = random.choice([each for each in range(33, 127) if each != content[place]])
    return content[:place] + bytes([other]) + content[place + 1 :]


def _damaged_once(random: Random, content: bytes) -> bytes:
    place = random.randint(0, len(content))
    end = min(len(content), place + random.choice((1, 1, 2, 8, 64, 1000)))
    match random.randrange(8):
        case 0:
            return one_byte_changed(random, content)
        case 1:
            return content[:place] + content[end:]
        case 2:
            return content[:place]
        case 3:
            return content[:place] + content[place:end] * random.choice((2, 2, 3, 50)) + content[end:]
        case 4:
            return content[place:end] + content[:place] + content[end:]
        case 5:
            return content[:place] + random.randbytes(random.choice((1, 2, 16))) + content[place:]
        case 6:
            return content[:place] + random.choice(ODD_TEXTS).encode("utf-8", "surrogatepass") + content[place:]
        case _:
            return content[:place] + random.choice(ODD_BYTES) + content[place:]


def another_value(random: Random, value: Any) -> Any:
    """A value like JSON's with one to three changes somewhere in it; the one that was given stays as it is."""
    value = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _changed_once(random, value)
    return value


def _changed_once(random: Random, value: Any) -> Any:
    if isinstance(value, dict | list) and value and random.random() < 0.85:
        keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
        key = random.choice(keys)
        match random.randrange(10):
            case 0:
                del value[key]
            case 1 if isinstance(value, dict):
                value[random.choice(ODD_TEXTS)] = value[key]
            case 1 if isinstance(value, list):
                value.insert(random.randint(0, len(value)), value[key])
            case 2 if isinstance(value, dict):
                value[random.choice((key.upper(), f"{key}s", key[:-1], f" {key}"))] = value.pop(key)
            case 3:
                other = random.choice(keys)
                value[key], value[other] = value[other], value[key]
            case 4 if isinstance(value, dict):
                twice = Twice(value)
                twice.doubled, twice.second = key, random.choice((value[key], None, 0, "", [], {}))
                return twice
            case _:
                value[key] = _changed_once(random, value[key])
        return value
    return _another_leaf(random, value)


def _another_leaf(random: Random, value: Any) -> Any:
    if isinstance(value, str) and value and random.random() < 0.4:
        place = random.randint(0, len(value))
        return value[:place] + random.choice(ODD_TEXTS) + value[place:]
    if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.4:
        return random.choice((-value, value + 1, value * 1e9, str(value), value / 3, [value]))
    return copy.deepcopy(random.choice(ODD_VALUES))  # a later change is not one of all cases after it


def written(value: Any, indent: int | None = None) -> bytes:
    """A value as JSON, with what `Raw` and `Twice` add; halves of surrogate pairs are escaped."""
    return _json(value, indent, 0).encode("utf-8", "surrogatepass")


def _json(value: Any, indent: int | None, level: int) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        pairs = [(key, value[key]) for key in value]
        if isinstance(value, Twice) and value.doubled in value:
            pairs.append((value.doubled, value.second))
        return _joined(
            "{}", [f"{json.dumps(key)}: {_json(item, indent, level + 1)}" for key, item in pairs], indent, level
        )
    if isinstance(value, list | tuple):
        return _joined("[]", [_json(item, indent, level + 1) for item in value], indent, level)
    return json.dumps(value)


def _joined(brackets: str, parts: Sequence[str], indent: int | None, level: int) -> str:
    if not parts:
        return brackets
    if indent is None:
        return brackets[0] + ", ".join(parts) + brackets[1]
    inner, outer = "\n" + " " * indent * (level + 1), "\n" + " " * indent * level
    return brackets[0] + inner + f",{inner}".join(parts) + outer + brackets[1]
