"""What runs inside a pipeline's steps: the scripts that `ftkit.remote.snapshot` writes call these with what the platform brings."""

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
from typing import Protocol

from ftkit import files
from ftkit.contracts import Emit, Trial
from ftkit.contracts.events import Event
from ftkit.contracts.plan import Plan
from ftkit.disclosure import redact_output
from ftkit.errors import ExitCode, FtkitError
from ftkit.remote import transfer as travelling
from ftkit.remote.collection import gathered
from ftkit.remote.decision import Left, decide, deploy
from ftkit.remote.event_log import writer
from ftkit.remote.trial_step import trial
from ftkit_azure.runs import Run, as_trial, number, proposed

EVENTS = "logs/events.jsonl"
FAILURE = "logs/failure.json"
RUN = "outputs/run"
"""What a step leaves in its run's files."""


_SCRIPT = """\
from {module} import enter  # noqa: E402  # from the wheels
from ftkit_azure.step import begin  # noqa: E402

if __name__ == "__main__":
    sys.exit(begin("{verb}", pathlib.Path(__file__).resolve().parent, enter))
"""


class Inside(Protocol):
    """The service as one of its own runs sees it: what a platform brings to its steps."""

    run: str
    """Identifier of this run."""

    @property
    def pipeline(self) -> str:
        """Identifier of the pipeline that it is a step of."""
        ...

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial, in the order of the numbers; what has been returned from has arrived."""
        ...

    def search(self) -> Run:
        """The run whose children are the trials. Raises: StageError."""
        ...

    def fetch(self, run: Run, folder: Path) -> None:
        """Bring a run's outputs into an empty folder. Raises: StageError."""
        ...

    def decided(self, folder: Path) -> None:
        """Bring the run that the decision has left into an empty folder. Raises: StageError."""
        ...


@dataclass(frozen=True)
class Task:
    """What a step has been given."""

    plan: Plan
    text: str
    """The recipe as the client has it."""
    left: Left
    run: str
    values: Mapping[str, str]
    """Further arguments: the values that the service proposed."""


def scripts(module: str) -> dict[str, str]:
    """The scripts of the steps by file name; `module` has `enter`, which gives an `Inside`."""
    return {f"{verb}.py": _SCRIPT.format(module=module, verb=verb) for verb in _WORK}


def begin(verb: str, here: Path, entered: Callable[[], Inside]) -> int:
    """Do the work of a step, leaving in its run's files what it told and, if it failed, why; returns the exit code.

    `verb` is trial, decide or deploy; `here` is the folder of the script, and `entered` connects with the service.
    """
    from ftkit.display import printer

    redact_output()
    write, say = writer(Path(EVENTS)), printer(True)

    def tell(event: Event) -> None:
        write(event)
        say(event)

    try:
        inside = entered()
        task = _task(here, sys.argv[1:], inside)
        with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
            _WORK[verb](task, inside, tell, Path(folder))
    except FtkitError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the log of the step, which nobody else writes
        said = {"what": error.what, "where": error.where, "hint": error.hint, "kind": type(error).__name__}
        files.write_json(Path(FAILURE), said)
        return int(ExitCode.STAGE)
    return int(ExitCode.OK)


def _trial(task: Task, inside: Inside, tell: Emit, work: Path) -> None:
    own = _number(inside.run)
    values, seed = proposed(task.plan, task.values, own)
    metric = task.plan.search.metric

    def heard(numbers: Mapping[str, float]) -> None:
        # The metric comes last: when it has arrived, so has the rest of its evaluation.
        names = (*(each for each in numbers if each != metric), metric)
        inside.log({name: numbers[name] for name in names if math.isfinite(numbers[name])})

    # A trial that its own values brought down ends well for the service: it costs itself, and not the whole search.
    trial(task.plan, Path("outputs"), work, number=own, values=values, seed=seed, heard=heard, emit=tell)


def _decide(task: Task, inside: Inside, tell: Emit, work: Path) -> None:
    search = inside.search()
    found = {number(each): each for each in search.get_children()}
    arrived = [as_trial(task.plan, search, each) for each in found.values()]

    def fetch(trial: Trial, folder: Path) -> None:
        inside.fetch(found[trial.number], folder)

    ledger = travelling.ledger(task.text, work, task.run)
    try:
        decide(task.plan, ledger, tell, gathered(arrived, fetch), task.left)
    finally:
        travelling.pack(ledger, Path(RUN))


def _deploy(task: Task, inside: Inside, tell: Emit, work: Path) -> None:
    inside.decided(work / "decided")
    ledger = travelling.ledger(task.text, work, task.run)
    travelling.take_over(ledger, work / "decided")
    try:
        deploy(task.plan, ledger, tell, task.left)
    finally:
        travelling.pack(ledger, Path(RUN))


_WORK: Mapping[str, Callable[[Task, Inside, Emit, Path], None]] = {
    "trial": _trial,
    "decide": _decide,
    "deploy": _deploy,
}


def _task(here: Path, arguments: Sequence[str], inside: Inside) -> Task:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--run", default="")
    parser.add_argument("--data", nargs=3, action="append", default=[], metavar=("OPTION", "FILE", "FOLDER"))
    known, rest = parser.parse_known_args(arguments)
    text = (here / "recipe.toml").read_text(encoding="utf-8")
    said = json.loads((here / "step.json").read_text(encoding="utf-8"))
    overrides = dict(said["overrides"])
    overrides |= {key: str(here / path) for key, path in said["files"].items()}
    overrides |= {key: str(Path(folder, file)) for key, file, folder in known.data}
    plan = travelling.plan(text, overrides)
    run = known.run or f"{plan.name}-{re.sub(r'[^A-Za-z0-9]', '', inside.pipeline)[:12]}"
    return Task(plan, text, said["left"], run, _pairs(rest))


def _number(run: str) -> int:
    found = re.search(r"_(\d+)$", run)
    return int(found[1]) if found else 0


def _pairs(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a mapping."""
    found, waiting = {}, list(arguments)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        if name.startswith("--"):
            found[name.removeprefix("--")] = value if equals else (waiting.pop(0) if waiting else "")
    return found
