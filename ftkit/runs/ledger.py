"""A run's folder: an append-only journal of finished work, from which a killed run continues.

HOME/runs/NAME-DATE-TIME/
  recipe.toml      the resolved recipe
  journal.jsonl    one fact a line: started, environment, sources, data, trial-started, trial-reported
                   (where checkpoints are written), trial, preferred where the recipe prefers cheap models, selected, tested,
                   overridden, registered, replaced, deployed, failed, finished, closed, stage with its seconds; when the run continued,
                   adopted if the sections after training were changed, and changed if files or software were; earlier-trial
                   and started-from if the search started from another run; search-time and budget-spent if it has a budget
  data/            the three splits as Arrow files, test sealed until it is tested, and the data report
  cache/           what backbones derive from the rows, shared by all trials
  trials/000/      a trial's log, its checkpoints while it trains, and its model while it may still win
  bundle/          the winner
  tested/          the probabilities of candidate and champion for the test rows
"""

from __future__ import annotations

import hashlib
import os
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.contracts import SPLITS, Data, Emit, Split, Trial
from ftkit.contracts.events import Stage
from ftkit.contracts.staging import stage
from ftkit.errors import LedgerError, UsageError
from ftkit.runs import closed_rows, stored_data, stored_predictions
from ftkit.runs.journal import Journal
from ftkit.runs.plan_keys import plan_key

if TYPE_CHECKING:
    import numpy as np


class Ledger:
    """The journal and folders of one run; every fact is on disk before `append` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder.name
        self._journal = Journal(folder / "journal.jsonl")

    def append(self, fact: str, **values: Any) -> None:
        """Write one fact about finished work into the journal. Raises: LedgerError when it cannot be written."""
        self._journal.append([{"fact": fact, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}])

    def extend(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add those facts of another ledger of the same run that this one does not hold yet. Raises: LedgerError."""
        self._journal.append(list(entries))

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """Every fact, oldest first."""
        return self._journal.entries

    def facts(self, fact: str) -> list[dict[str, Any]]:
        """Every entry of one kind, oldest first."""
        return self._journal.facts(fact)

    def fact(self, fact: str) -> dict[str, Any] | None:
        """The latest entry of one kind, or None."""
        return next(reversed(self.facts(fact)), None)

    @property
    def unreadable(self) -> int:
        """Lines of the journal that cannot be read: what they recorded is done again when the run goes on."""
        return self._journal.unreadable

    @property
    def failure(self) -> str:
        """Why the run broke off, if that is the last fact in its journal; empty otherwise."""
        last = self.entries[-1] if self.entries else None
        return last["error"] if last and last["fact"] == "failed" else ""

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; an interrupted or failed one did not."""
        return self.fact("finished") is not None

    @property
    def closed(self) -> bool:
        """Whether the run is finished and nothing is left to do, such as its report; an earlier ftkit did not write that down."""
        closes = (self.fact("started") or {}).get("closes", False)
        return self.finished and (not closes or self.fact("closed") is not None)

    @property
    def recipe(self) -> str:
        """The run's resolved recipe, as TOML text. Raises: LedgerError when it cannot be read."""
        path = self.folder / "recipe.toml"
        try:
            text = path.read_text(encoding="utf-8")
            tomllib.loads(text)
            return text
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it is damaged: {error}"
            raise LedgerError(
                f"the run's recipe cannot be read: {reason}",
                where=str(path),
                hint="Restore the file, or run the recipe again with --fresh.",
            ) from error

    @property
    def recipe_values(self) -> dict[str, Any]:
        """The run's resolved recipe as plain values; empty where it cannot be read."""
        try:
            return tomllib.loads(self.recipe)
        except LedgerError:
            return {}

    def adopt(self, recipe: str) -> None:
        """Continue the run by this resolved recipe, which differs only after training. Call it while the run is held."""
        path = self.folder / "recipe.toml"
        if _text(path) != recipe.strip():
            self.append("adopted", recipe=hashlib.sha256(recipe.encode()).hexdigest())
            try:
                files.write_text(path, recipe)
            except OSError as error:
                raise LedgerError(
                    f"the run's recipe cannot be written: {error.strerror}", where=str(path), hint="Make room."
                ) from error

    def trial_folder(self, number: int) -> Path:
        """The folder of trial `number`, with its log and model."""
        return self.folder / "trials" / f"{number:03d}"

    def store_predictions(self, predictions: Mapping[str, np.ndarray]) -> None:
        """Store each contender's probabilities of the test rows, (rows, classes), whole or not at all. Raises: LedgerError."""
        stored_predictions.write(self.folder, predictions)

    def predictions(self) -> dict[str, np.ndarray]:
        """The contenders' probabilities of the test rows, by `candidate` and `champion`; empty before the tests.

        Raises: OSError; ValueError where they were changed.
        """
        return stored_predictions.read(self.folder)

    def record_trial(self, trial: Trial) -> None:
        """Write a trial that has ended into the journal."""
        self.append("trial", trial=asdict(trial))

    def trials(self) -> list[Trial]:
        """The trials that have ended, by number; the latest entry of a number counts."""
        known = {field.name for field in fields(Trial)}  # a journal of a newer ftkit may have more
        latest = {entry["trial"]["number"]: entry["trial"] for entry in self.facts("trial")}
        return [
            Trial(**{key: latest[number][key] for key in known & latest[number].keys()}) for number in sorted(latest)
        ]

    def store_data(self, data: Data, kept_back: Split | None = None) -> None:
        """Write the splits, rows that are kept back from them, and the report, whole or not at all, and then the fact `data`.

        Raises: LedgerError, also for other rows than the run has begun with.
        """
        earlier = self.fact("data")
        if earlier is not None and earlier["fingerprint"] != data.report.fingerprint:
            raise LedgerError(
                "the rows are not those that the run began with",
                where=data.report.source,
                hint="Bring them back, or begin a new run: give the command with --fresh.",
            )
        stored_data.write(self.folder, data, kept_back)
        self.append("data", fingerprint=data.report.fingerprint)

    @property
    def holds_data(self) -> bool:
        """Whether the rows were stored, and the test rows can be opened here."""
        return self.fact("data") is not None and closed_rows.can_open(self.folder / "data")

    def data(self, splits: Sequence[str] = SPLITS) -> Data:
        """The run's data with only these splits filled; reading test opens its seal for good. Raises: LedgerError."""
        return stored_data.read(self.folder, splits)

    def kept_back(self) -> Split:
        """The validation rows that no training saw, for a promise about the answers. Raises: LedgerError."""
        return stored_data.kept_back(self.folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the run for this process. Raises: LedgerError when another process carries it out."""
        import filelock

        lock = filelock.FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            pid = _text(self.folder / ".pid")
            raise LedgerError(
                f"this run is being carried out by another process{f' ({pid})' if pid else ''}",
                where=str(self.folder),
                hint="Wait for it, stop it, or give --fresh to start another run of the same recipe.",
            ) from None
        try:
            (self.folder / ".pid").write_text(str(os.getpid()))
            closed_rows.forget(self.folder)
            files.sweep(self.folder)
            yield
        finally:
            lock.release()


@contextmanager
def staged(ledger: Ledger, name: Stage, emit: Emit, reused: bool = False) -> Iterator[None]:
    """`ftkit.events.stage`, which also writes the duration of a finished stage into the journal."""
    begun = time.monotonic()
    with stage(name, emit, reused):
        yield
    if not reused:
        ledger.append("stage", stage=name, seconds=round(time.monotonic() - begun, 3))


def begin(name: str, recipe: str, *, fresh: bool = False) -> tuple[Ledger, bool]:
    """The ledger of the latest run that trains by this recipe, if it is unfinished and not `fresh`; else that of a new run.

    Its sections after training may have been changed since the run broke off: `Ledger.adopt` takes the new ones.
    Returns the ledger and whether it is that of an earlier run. Raises: LedgerError.
    """
    key = plan_key(recipe)
    if not fresh:
        for ledger in runs():
            started = ledger.fact("started")
            if started and started["key"] == key:
                if not ledger.closed:
                    return ledger, True
                break
    return at(_new_folder(files.home() / "runs", name), name, recipe), False


def at(folder: Path, name: str, recipe: str) -> Ledger:
    """The ledger in a given folder; it is created if the folder has none."""
    ledger = Ledger(folder)
    if ledger.fact("started") is None:
        files.write_text(folder / "recipe.toml", recipe)
        ledger.append("started", key=plan_key(recipe), name=name, closes=True)
    return ledger


def runs() -> list[Ledger]:
    """Every run on this machine, newest first."""
    folder = files.home() / "runs"
    ledgers = [Ledger(path.parent) for path in folder.glob("*/journal.jsonl")] if folder.is_dir() else []
    return sorted(ledgers, key=lambda ledger: (ledger.fact("started") or {}).get("at", ""), reverse=True)


def find(run: str) -> Ledger:
    """One run by its identifier, or by a folder's path. Raises: UsageError naming the latest."""
    for folder in (files.home() / "runs" / run, Path(run)):
        if files.exists(folder / "journal.jsonl"):
            return Ledger(folder.absolute())
    latest = [ledger.run for ledger in runs()[:3]]
    raise UsageError(
        f"there is no run {run!r}",
        where=str(files.home() / "runs"),
        hint=f"The latest are {', '.join(latest)}." if latest else "No run has been made yet: `ftkit run RECIPE`.",
    )


def _new_folder(parent: Path, name: str) -> Path:
    stamp = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for suffix in ("", *(f"-{count}" for count in range(2, 1000))):
        folder = parent / f"{stamp}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise LedgerError(
                f"no folder for the run can be made: {error.strerror}",
                where=str(folder),
                hint="Fix the permissions, or set FTKIT_HOME to a folder you can write to.",
            ) from error
        return folder
    raise LedgerError(f"there are too many runs named {stamp}", where=str(parent))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
