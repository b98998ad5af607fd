"""What runs inside the pipeline's steps, called by the scripts of the snapshot."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit import files, steps
from ftkit.contracts import Emit
from ftkit.display import printer
from ftkit.errors import ExitCode, FtkitError, StageError
from ftkit.events import Event
from ftkit.plan import Plan
from ftkit_hyperdrive import trials
from ftkit_hyperdrive.graph import DECIDE, SEARCH

EVENTS = "logs/events.jsonl"
FAILURE = "logs/failure.json"
RUN = "outputs/run"
"""What a step leaves in its run's files."""


@dataclass(frozen=True)
class Task:
    """What a step has been given."""

    plan: Plan
    text: str
    """The recipe as the client has it."""
    left: steps.Left
    run: str
    values: Mapping[str, str]
    """Further arguments: the values that HyperDrive proposed."""


def trial(here: Path) -> int:
    """Train one trial of HyperDrive."""
    return _carry_out(here, _trial)


def decide(here: Path) -> int:
    """Select, test and register, from the trials of the step before."""
    return _carry_out(here, _decide)


def deploy(here: Path) -> int:
    """Roll out what the step before let through."""
    return _carry_out(here, _deploy)


def _trial(task: Task, azure: Any, tell: Emit, work: Path) -> None:
    number = trials.number(azure)
    values, seed = trials.proposed(task.plan, task.values, number)

    def heard(numbers: Mapping[str, float]) -> None:
        metric = task.plan.search.metric
        # The metric comes last: when it has arrived, so has the rest of its evaluation.
        for name in (*(each for each in numbers if each != metric), metric):
            if math.isfinite(numbers[name]):
                azure.log(name, numbers[name])
        azure.flush()

    # A trial that its own values brought down ends well for the service: it costs itself, and not the whole search.
    steps.trial(task.plan, Path("outputs"), work, number=number, values=values, seed=seed, heard=heard, emit=tell)


def _decide(task: Task, azure: Any, tell: Emit, work: Path) -> None:
    search = trials.search_run(_sibling(azure, SEARCH))
    if search is None:
        raise StageError("the search has left no run", where=SEARCH)
    runs = {trials.number(each): each for each in search.get_children()}
    arrived = [trials.arrived(task.plan, search, each) for each in runs.values()]
    ledger = steps.ledger(task.text, work, task.run)
    found = steps.gathered(arrived, lambda trial, folder: trials.fetch(runs[trial.number], folder))
    try:
        steps.decide(task.plan, ledger, tell, found, task.left)
    finally:
        steps.pack(ledger, Path(RUN))


def _deploy(task: Task, azure: Any, tell: Emit, work: Path) -> None:
    before = _sibling(azure, DECIDE)
    before.download_files(prefix=f"{RUN}/", output_directory=str(work / "decided"), append_prefix=False)
    ledger = steps.ledger(task.text, work, task.run)
    steps.take_over(ledger, work / "decided")
    try:
        steps.deploy(task.plan, ledger, tell, task.left)
    finally:
        steps.pack(ledger, Path(RUN))


def _carry_out(here: Path, work: Callable[[Task, Any, Emit, Path], None]) -> int:
    """Do a step's work, leaving in its run's files what it told and, if it failed, why."""
    from azureml.core import Run

    azure = Run.get_context()
    write, say = steps.writer(Path(EVENTS)), printer(True)

    def tell(event: Event) -> None:
        write(event)
        say(event)

    try:
        task = _task(here, sys.argv[1:], azure)
        with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
            work(task, azure, tell, Path(folder))
    except FtkitError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the log of the step, which nobody else writes
        said = {"what": error.what, "where": error.where, "mend": error.mend, "kind": type(error).__name__}
        files.write_json(Path(FAILURE), said)
        return int(ExitCode.STAGE)
    return int(ExitCode.OK)


def _task(here: Path, arguments: Sequence[str], azure: Any) -> Task:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--run", default="")
    parser.add_argument("--data", nargs=3, action="append", default=[], metavar=("OPTION", "FILE", "FOLDER"))
    known, rest = parser.parse_known_args(arguments)
    text = (here / "recipe.toml").read_text(encoding="utf-8")
    said = json.loads((here / "step.json").read_text(encoding="utf-8"))
    overrides = dict(said["overrides"])
    overrides |= {key: str(here / path) for key, path in said["files"].items()}
    overrides |= {key: str(Path(folder, file)) for key, file, folder in known.data}
    plan = steps.plan(text, overrides)
    return Task(plan, text, said["left"], known.run or _named(plan, azure), _pairs(rest))


def _named(plan: Plan, azure: Any) -> str:
    """What the run of a published pipeline is called, which no client has named."""
    parent = azure.parent.id if azure.parent is not None else azure.id
    return f"{plan.name}-{re.sub(r'[^A-Za-z0-9]', '', parent)[:12]}"


def _pairs(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a mapping."""
    found, waiting = {}, list(arguments)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        if name.startswith("--"):
            found[name.removeprefix("--")] = value if equals else (waiting.pop(0) if waiting else "")
    return found


def _sibling(azure: Any, name: str) -> Any:
    """The run of another step of the same pipeline. Raises: StageError."""
    found = next((each for each in azure.parent.get_children() if each.name == name), None)
    if found is None:
        raise StageError(f"the pipeline has no step {name}", where=azure.parent.id)
    return found
