"""The journal of a run: one fact a line, only ever added to, and on disk before `append` returns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError


class Journal:
    """The facts of one run, oldest first, and the file that keeps them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = list(_read(path))

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """Every fact, oldest first."""
        return tuple(self._entries)

    def append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add facts, their secrets hidden; those that are there already are left out.

        Raises: LedgerError when the disk does not take them.
        """
        shown = [entry for entry in map(_without_secrets, entries) if entry not in self._entries]
        text = "".join(json.dumps(entry) + "\n" for entry in shown)
        try:
            with self.path.open("ab") as file:
                torn = file.tell() and not _ends_with_newline(self.path)  # by a kill in the middle of writing
                file.write((b"\n" if torn else b"") + text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LedgerError(
                f"the journal cannot be written: {error.strerror}",
                where=str(self.path),
                hint="Make room or fix the permissions, then give the same command: what is in the journal is kept.",
            ) from error
        self._entries += map(json.loads, text.splitlines())  # as a later reader gets it: lists for tuples

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Every fact of one kind, oldest first."""
        return [entry for entry in self._entries if entry["fact"] == kind]


_COMPUTED = ("values", "pipeline")
"""What a run that goes on computes with, or finds its pipeline by: it stays as it is."""


def _without_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(without_secrets(entry)) | {key: entry[key] for key in _COMPUTED if key in entry}
    if isinstance(trial := entry.get("trial"), Mapping):
        shown["trial"] = _without_secrets(trial)
    return shown


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The facts of a file; a line torn by a kill in the middle of writing is passed over."""
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
