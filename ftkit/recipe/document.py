"""`--set KEY=VALUE` and its shorthands, laid over a recipe's document with a note of where each value came from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftkit.errors import Problem
from ftkit.recipe.toml_lines import Key


@dataclass
class Document:
    """A recipe's values, and for every key the place it was given at."""

    values: dict[str, Any]
    file: str
    """What the recipe is called in messages."""
    base: Path
    """Where relative paths of the file start."""
    lines: Mapping[Key, int] = field(default_factory=dict)
    given: dict[Key, str] = field(default_factory=dict)
    """Keys that an override set, and how it reads."""
    moved: dict[Key, Key] = field(default_factory=dict)
    """Keys that came from elsewhere in the document, such as a target's own sub-table, and from where."""

    def where(self, key: Key) -> str:
        """FILE:LINE of a key, of the nearest key above it where it has none, or the override that set it."""
        key = self.origin(key)
        for end in range(len(key), -1, -1):
            if key[:end] in self.given:
                return self.given[key[:end]]
            if end and key[:end] in self.lines:
                return f"{self.file}:{self.lines[key[:end]]}"
        return f"{self.file}:1"

    def base_of(self, key: Key) -> Path:
        """Where a relative path of this key starts: the recipe's folder, or for an override the working folder."""
        key = self.origin(key)
        overridden = any(key[:end] in self.given for end in range(1, len(key) + 1))
        return Path.cwd() if overridden else self.base

    def origin(self, key: Key) -> Key:
        """Where a key, or one above it, really stands."""
        ends = range(len(key), 0, -1)
        return next((self.moved[key[:end]] + key[end:] for end in ends if key[:end] in self.moved), key)

    def lay_over(self, overrides: Mapping[str, Any] | Sequence[str], problems: list[Problem]) -> None:
        """Set dotted keys, later ones winning; what cannot be set is added to `problems`."""
        if isinstance(overrides, Mapping):
            pairs = [(key, value, f"overrides[{key!r}]") for key, value in overrides.items()]
        else:
            pairs = []
            for text in overrides:
                key, equals, value = text.partition("=")
                if not equals or not key.strip():
                    problems.append(
                        Problem(
                            f"--set {text}", "", "not of the form KEY=VALUE", "For example --set backbone.epochs=1."
                        )
                    )
                    continue
                pairs.append((key.strip(), parse(value), f"--set {text}"))
        for key, value, said in pairs:
            parts: Key = tuple(int(part) if part.isdigit() else part for part in key.split("."))
            if problem := self._set(parts, _tabled(value)):
                problems.append(Problem(said, key, problem))
            else:
                self.given[parts] = said

    def _set(self, key: Key, value: Any) -> str:
        """Put one value in its place; says why when it has none."""
        at: Any = self.values
        for part, following in zip(key, key[1:], strict=False):
            if isinstance(at, list):
                if not isinstance(part, int) or part >= len(at):
                    return f"the list has {len(at)} entries, counted from 0; {part!r} is none of them"
                at = at[part]
            elif isinstance(at, dict):
                at = at.setdefault(str(part), [] if isinstance(following, int) else {})
            else:
                break
        last = key[-1]
        if isinstance(at, list):
            if not isinstance(last, int) or last > len(at):
                return f"the list has {len(at)} entries, counted from 0; {last!r} is none of them"
            at[last : last + 1] = [value]
            return ""
        if not isinstance(at, dict):
            return "the key goes through a value that is no table"
        at[str(last)] = value
        return ""


def parse(text: str) -> Any:
    """A value as TOML reads it; what TOML does not read is taken as text, so that words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _tabled(value: Any) -> Any:
    """A Python value in the types a TOML document has."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _tabled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tabled(item) for item in value]
    return value
