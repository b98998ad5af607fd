"""The line number of each key of a TOML text, so that a mistake can be reported with FILE:LINE.

The text must be valid TOML: it is scanned again only for the line numbers, which `tomllib` does not keep.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Key = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]\}\n#]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")


def line_numbers(text: str) -> Mapping[Key, int]:
    """The line, counted from 1, of every table and key; array elements by their index."""
    return _Scanner(text).document()


class _Scanner:
    """One pass over a TOML text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self.arrays: dict[Key, int] = {}

    def document(self) -> Mapping[Key, int]:
        prefix: Key = ()
        while self._skip(_BLANK) is not None and self.at < len(self.text):
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
        return self.lines

    def _header(self) -> Key:
        is_array = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if is_array else 1
        key = self._resolve(self._key(), line)
        if is_array:
            index = self.arrays[key] = self.arrays.get(key, -1) + 1
            self._note(key, line)
            key = (*key, index)
        self._note(key, line)
        self._skip(_SPACE)
        self.at += 2 if is_array else 1
        return key

    def _resolve(self, parts: Key, line: int) -> Key:
        """A header's key with the index of the latest element for every array of tables on the way."""
        key: Key = ()
        for part in parts[:-1]:
            key = (*key, part)
            self._note(key, line)
            if key in self.arrays:
                key = (*key, self.arrays[key])
        return (*key, parts[-1])

    def _pair(self, prefix: Key) -> None:
        line = self._line()
        parts = self._key()
        key = prefix
        for part in parts:
            key = (*key, part)
            self._note(key, line)
        self._skip(_SPACE)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(key)

    def _key(self) -> Key:
        parts: list[str | int] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.at] in "\"'":
                parts.append(next(iter(tomllib.loads(f"{self._skip(_STRING)} = 0"))))
            else:
                parts.append(self._skip(_BARE) or "")
            self._skip(_SPACE)
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def _value(self, key: Key) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self._skip(_STRING)
        elif first == "[":
            self._items(key)
        elif first == "{":
            self._inline(key)
        else:
            self._skip(_SCALAR)

    def _items(self, key: Key) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._note((*key, index), self._line())
            self._value((*key, index))
            index += 1

    def _inline(self, key: Key) -> None:
        self.at += 1
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(key)

    def _skip(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
            return match.group()
        return None

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _note(self, key: Key, line: int) -> None:
        self.lines.setdefault(key, line)
