"""What every family of cases is: something that ftkit reads, made from a seed, and read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, Protocol

Outcome = Literal["accepted", "refused"]

NAMES = {
    "recipes": "TOML texts and --set overrides",
    "tables": "csv, tsv, JSON, parquet and Arrow files, packed and not",
    "requests": "bodies and headers, answered in the process",
    "http": "bytes on a socket of a running endpoint",
    "bundles": "files, manifest and names of a bundle",
    "records": "promotion records",
    "runs": "journals and files of a run's folder",
    "checkpoints": "checkpoints of a trial",
    "states": "what endpoints, engines, searches and scored files keep; lines of events; examples; texts to learn from",
}
"""Modules of this package, and what their cases are."""


class Silent(AssertionError):
    """Something was accepted that is not what was written, and nothing said so."""


@dataclass(frozen=True)
class Case:
    """One damaged input."""

    what: str
    """The damage, for whoever repeats the case."""
    read: Callable[[], Outcome]
    """Has ftkit read it. Raises: FtkitError where it is refused, Silent; anything else is a fault."""


class Family(Protocol):
    """Makes cases of one kind of input."""

    def case(self, random: Random) -> Case:
        """A case; the same for the same state of the generator."""
        ...

    def close(self) -> None:
        """End what the family has started."""
        ...


def made(name: str, folder: Path) -> Family:
    """The family of that name, with its valid inputs in an empty folder."""
    family: Family = importlib.import_module(f"benchmarks.fuzzing.{name}").Cases(folder)
    return family
