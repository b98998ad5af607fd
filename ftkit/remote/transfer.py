"""What travels between steps and back to the client: the recipe's text, and a run's folder without what no later step needs."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ftkit import files
from ftkit.contracts.plan import Plan
from ftkit.errors import LedgerError
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger

TRAVELLING = ("data", "bundle", "tested")
"""Folders of a run that travel; logs and validation answers of trials do, too, but no model beside the bundle's."""

OWN = ("started", "submitting", "submitted", "ended")
"""Facts of a journal that are its own: what a ledger that comes back says of these is not taken over."""


def plan(text: str, overrides: Mapping[str, str] | None = None) -> Plan:
    """The plan of a recipe's text as a step can carry it out; overrides say where files lie there, and what is left to the client.

    Raises: RecipeError.
    """
    return loader.loads(text, overrides)


def ledger(text: str, folder: Path, run: str) -> Ledger:
    """The ledger of a step: that of `run` in a folder, gone on with where there is one; `text` is the recipe as the client has it."""
    return ledgers.at(folder / run, str(tomllib.loads(text)["name"]), text)


def pack(ledger: Ledger, folder: Path) -> None:
    """Write what travels of a run into `folder`, which takes its place whole. Raises: LedgerError."""
    try:
        with files.atomic_folder(folder) as partial:
            shutil.copy2(ledger.folder / "journal.jsonl", partial)
            shutil.copy2(ledger.folder / "recipe.toml", partial)
            for name in TRAVELLING:
                if (ledger.folder / name).is_dir():
                    shutil.copytree(ledger.folder / name, partial / name)
            if (ledger.folder / "trials").is_dir():
                shutil.copytree(ledger.folder / "trials", partial / "trials", ignore=shutil.ignore_patterns("model"))
    except OSError as error:
        raise LedgerError(
            f"the run cannot be packed: {error.strerror or error}", where=str(folder), hint="Make room."
        ) from error


def take_over(ledger: Ledger, folder: Path) -> None:
    """Add to a ledger what was packed elsewhere: folders first, facts last; given again, it adds nothing.

    Raises: LedgerError when the folder holds no run, or one that trained by another recipe.
    """
    if not (folder / "journal.jsonl").is_file():
        raise LedgerError(
            "the run that came back has no journal", where=str(folder), hint="Give the same command again."
        )
    other = Ledger(folder)
    try:
        for name in (*TRAVELLING, "trials"):
            if (folder / name).is_dir():
                with files.atomic_folder(ledger.folder / name) as partial:
                    shutil.copytree(folder / name, partial, dirs_exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"the run that came back cannot be stored: {error.strerror or error}",
            where=str(ledger.folder),
            hint="Make room, then give the same command.",
        ) from error
    ledger.extend(entry for entry in other.entries if entry["fact"] not in OWN)
