"""What is sent between the steps and back to the client: the recipe's text, and the parts of a run's folder that are needed later."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.contracts.plan import Plan
from ftkit.errors import LedgerError
from ftkit.recipe import loader
from ftkit.runs import closed_rows
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger

PACKED = ("data", "bundle", "tested")
"""Folders of a run that are packed, besides logs and validation probabilities of trials; of the models only the bundle's is."""

NOT_MERGED = ("started", "submitting", "submitted", "ended")
"""Facts about one journal alone: they are not merged into another ledger."""


def plan(text: str, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a recipe's text for a step; `overrides` are the paths of files in the step, and what the client does.

    Raises: RecipeError.
    """
    return loader.loads(text, overrides)


def ledger(text: str, folder: Path, run: str) -> Ledger:
    """The ledger of a step, in the folder of `run` below `folder`, continued if it exists; `text` is the recipe of the client."""
    return ledgers.at(folder / run, str(tomllib.loads(text)["name"]), text)


def pack(ledger: Ledger, folder: Path) -> None:
    """Copy what later steps and the client need of a run into `folder`, whole or not at all. Raises: LedgerError."""
    try:
        closed_rows.open_seal(ledger.folder / "data")  # its key stays here, and nothing is trained after this
        with files.atomic_folder(folder) as partial:
            shutil.copy2(ledger.folder / "journal.jsonl", partial)
            shutil.copy2(ledger.folder / "recipe.toml", partial)
            for name in PACKED:
                if (ledger.folder / name).is_dir():
                    shutil.copytree(ledger.folder / name, partial / name)
            if (ledger.folder / "trials").is_dir():
                shutil.copytree(ledger.folder / "trials", partial / "trials", ignore=shutil.ignore_patterns("model"))
    except OSError as error:
        raise LedgerError(
            f"the run cannot be packed: {error.strerror or error}", where=str(folder), hint="Make room."
        ) from error


def take_over(ledger: Ledger, folder: Path) -> None:
    """Merge a packed run into a ledger: folders first, facts last; merging it again changes nothing.

    Raises: LedgerError when the folder holds no run, or cannot be copied.
    """
    if not (folder / "journal.jsonl").is_file():
        raise LedgerError(
            "the run of the last step has no journal", where=str(folder), hint="Give the same command again."
        )
    packed = Ledger(folder)
    try:
        for name in (*PACKED, "trials"):
            if (folder / name).is_dir():
                with files.atomic_folder(ledger.folder / name) as partial:
                    shutil.copytree(folder / name, partial, dirs_exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"the run of the last step cannot be stored: {error.strerror or error}",
            where=str(ledger.folder),
            hint="Make room, then give the same command.",
        ) from error
    ledger.extend(entry for entry in packed.entries if entry["fact"] not in NOT_MERGED)
