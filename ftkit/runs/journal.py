"""The journal of a run: an append-only file with one fact per line; a fact is on disk before `append` returns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError


class Journal:
    """The facts of one run, oldest first, and their file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = list(_read(path))

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """Every fact, oldest first."""
        return tuple(self._entries)

    def append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add those facts that are not in the journal yet, with their secrets hidden.

        Raises: LedgerError when they cannot be written.
        """
        shown = [entry for entry in map(_without_secrets, entries) if entry not in self._entries]
        text = "".join(json.dumps(entry) + "\n" for entry in shown)
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
        self._entries += map(json.loads, text.splitlines())  # as read from the file later: lists for tuples

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Every fact of one kind, oldest first."""
        return [entry for entry in self._entries if entry["fact"] == kind]


_COMPUTED = ("values", "pipeline")
"""Keys whose values a resumed run computes with, or finds its pipeline by: they are not redacted."""


def _without_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(without_secrets(entry)) | {key: entry[key] for key in _COMPUTED if key in entry}
    if isinstance(trial := entry.get("trial"), Mapping):
        shown["trial"] = _without_secrets(trial)
    return shown


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The facts of a file, without a line that a kill left incomplete."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "fact" in entry:
            yield entry


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
