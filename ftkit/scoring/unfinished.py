"""A scored file that is not complete yet: a hidden folder beside it, which the same command goes on with.

.NAME.unfinished/
  about.json      what it is made of, and how far it is: written after each part
  000000000000    the rows from the first on, in the form of the file; further parts are named by their first row
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import filelock

from ftkit import files, formatting, strict_json
from ftkit.errors import UsageError
from ftkit.scoring.forms import Block, Form

_PART = re.compile("[0-9]{12}")
LINES = 5
"""Rows that cannot be read whose places are kept."""


@dataclass
class Tally:
    """How many rows are done, and what became of them."""

    rows: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    """Rows by label."""
    empty: int = 0
    """Rows without a text."""
    damaged: int = 0
    """Rows that cannot be read."""
    lines: list[int] = field(default_factory=list)
    """Where the first of these are."""


class Unfinished:
    """The parts that are written; `facts` are what they are made of, each under the name of one that differs: `other rows`."""

    def __init__(self, out: Path, facts: Mapping[str, Any]) -> None:
        self.out = out
        self.folder = folder_of(out)
        self.facts = dict(facts)
        self.tally = Tally()
        self.parts: list[str] = []
        self.engine = ""
        """Which engine computes all rows; empty until one is chosen."""
        self._finished = False

    @contextmanager
    def opened(self, *, anew: bool) -> Iterator[None]:
        """Go on from the parts that are there, or with `anew` from none where they are of something else.

        Raises: UsageError where they are of something else, or another process writes them; OSError.
        """
        self.folder.mkdir(exist_ok=True)
        lock = filelock.FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            hint = "Wait until it has ended, or name another file."
            raise UsageError("another command writes this file", where=str(self.out), hint=hint) from None
        try:
            self._read(anew)
            yield
        finally:
            lock.release()
            if self._finished:
                shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, form: Form, blocks: Sequence[Block], tally: Tally) -> None:
        """Write a part, and that all rows of `tally` are done. Raises: OSError."""
        name = f"{self.tally.rows:012d}"
        form.write(self.folder / name, blocks)
        with (self.folder / name).open("rb") as part:
            os.fsync(part.fileno())
        self.parts.append(name)
        self.tally = tally
        self._write()

    def finish(self, form: Form) -> None:
        """Join the parts to the file. Raises: OSError."""
        joined = self.folder / "joined"
        form.join([self.folder / part for part in self.parts], joined)
        with joined.open("rb") as content:
            os.fsync(content.fileno())
        os.replace(joined, self.out)
        self._finished = True

    def _read(self, anew: bool) -> None:
        try:
            about = strict_json.read_object(self.folder / "about.json")
            facts, parts, tally = about["facts"], list(about["parts"]), Tally(**about["tally"])
            engine = str(about["engine"])
            sound = isinstance(facts, dict) and type(tally.rows) is int
            if not sound or any(not _PART.fullmatch(part) for part in parts):
                raise ValueError("the notes are damaged")
            for part in parts:
                (self.folder / part).stat()
        except (OSError, ValueError, KeyError, TypeError):
            self._write()  # nothing is done yet
            return
        if differing := [name for name in self.facts | facts if facts.get(name) != self.facts.get(name)]:
            if not anew:
                raise UsageError(
                    f"the file was begun with {' and '.join(differing)}; {formatting.count(tally.rows, 'row')} done",
                    where=str(self.out),
                    hint="Give what it was begun with, and the command goes on; or --force to begin again.",
                )
            self._write()
            return
        self.parts, self.tally, self.engine = parts, tally, engine

    def _write(self) -> None:
        about = {"facts": self.facts, "engine": self.engine, "parts": self.parts, "tally": asdict(self.tally)}
        files.write_json(self.folder / "about.json", about)


def folder_of(out: Path) -> Path:
    """Where the parts of a file are while it is not complete."""
    return out.with_name(f".{out.name}.unfinished")
