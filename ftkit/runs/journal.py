"""The journal of a run: an append-only file with one fact per line; a fact is on disk before `append` returns.

A line ends with the checksum of what stands before it, `"sum"`, so that a changed byte is noticed. Older journals
have none: their lines are read as they are, and once a line has a checksum, each one after it needs its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftkit import strict_json
from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError


class Journal:
    """The facts of one run, oldest first, and their file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable = 0
        """Lines that are no facts: damaged, or left incomplete by a kill in the middle of writing."""
        self._entries: list[dict[str, Any]] = []
        for entry in _lines(path):
            if _is_fact(entry):
                self._entries.append(entry)
            else:
                self.unreadable += 1

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """Every fact, oldest first."""
        return tuple(self._entries)

    def append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add those facts that are not in the journal yet, with their secrets hidden.

        Raises: LedgerError when they cannot be written.
        """
        shown = [entry for entry in map(_without_secrets, entries) if entry not in self._entries]
        text = "".join(map(line, shown))
        try:
            with self.path.open("ab") as file:
                torn = file.tell() and not _ends_with_newline(self.path)  # after a kill in the middle of writing
                file.write((b"\n" if torn else b"") + text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LedgerError(
                f"the journal cannot be written: {error.strerror}",
                where=str(self.path),
                hint="Make room or fix the permissions, then give the same command: what is in the journal is kept.",
            ) from error
        self._entries += (
            json.loads(json.dumps(entry)) for entry in shown
        )  # as read from the file later: lists for tuples

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Every fact of one kind, oldest first."""
        return [entry for entry in self._entries if entry["fact"] == kind]


def line(entry: Mapping[str, Any]) -> str:
    """A fact as it stands in the file."""
    text = json.dumps({key: value for key, value in entry.items() if key != _SUM})
    return f'{text[:-1]}, "{_SUM}": "{_checksum(text[:-1])}"}}\n'


_SUM = "sum"
_SUMMED = re.compile(rb'(?P<content>\{.*), "sum": "(?P<sum>[0-9a-f]{16})"\}')
_COMPUTED = ("values", "pipeline")
"""Keys whose values a resumed run computes with, or finds its pipeline by: they are not redacted."""


def _without_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(without_secrets(entry)) | {key: entry[key] for key in _COMPUTED if key in entry}
    if isinstance(trial := entry.get("trial"), Mapping):
        shown["trial"] = _without_secrets(trial)
    return shown


_HOLDS: dict[str, dict[str, type]] = {
    "started": {"at": str, "key": str},
    "sources": {"files": dict},
    "changed": {"sentences": list},
    "trial-started": {"number": int, "values": dict, "seed": int},
    "trial": {"trial": dict},
    "selected": {"number": int},
    "registered": {"version": object},
    "overridden": {"bundle": str, "reason": str, "by": str, "at": str},
    "failed": {"error": str},
}
"""What a fact of each kind holds: without it, or with another type, the line is damaged."""
_TRIAL: dict[str, type] = {"number": int, "values": dict, "seed": int, "state": str}


def _lines(path: Path) -> Iterator[Any]:
    """The values of a file's lines, None for a line that is not JSON. Raises: LedgerError."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(
            f"the journal cannot be read: {error.strerror}", where=str(path), hint="Fix the permissions of the file."
        ) from error
    summed = False
    for each in lines:
        if not each.strip():
            continue
        parts = _SUMMED.fullmatch(each)
        summed = summed or parts is not None
        try:
            if parts is None:
                value = None if summed else strict_json.parse(each)
                yield None if isinstance(value, dict) and _SUM in value else value  # with a checksum, in another form
            elif _checksum(parts["content"].decode("ascii")) == parts["sum"].decode():
                yield strict_json.parse(parts["content"] + b"}")
            else:
                yield None
        except ValueError:
            yield None


def _checksum(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _is_fact(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("fact"), str):
        return False
    return _has(entry, _HOLDS.get(entry["fact"], {})) and (entry["fact"] != "trial" or _has(entry["trial"], _TRIAL))


def _has(table: Mapping[str, Any], wanted: Mapping[str, type]) -> bool:
    return all(key in table and isinstance(table[key], kind) for key, kind in wanted.items())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
