"""What runs inside the steps of a pipeline: each step's script calls `run_step` with what connects it to the service."""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftkit import files
from ftkit.contracts import Emit, Trial, TrialInterrupted
from ftkit.contracts.events import Event
from ftkit.contracts.plan import Plan
from ftkit.disclosure import redact_output
from ftkit.errors import ExitCode, FtkitError, StageError
from ftkit.remote import snapshot, transfer
from ftkit.remote.collection import collected
from ftkit.remote.decision import decide, deploy
from ftkit.remote.event_log import writer
from ftkit.remote.trial_step import follow, trial
from ftkit.stages.trial import first_process
from ftkit_azure import companions
from ftkit_azure.runs import OUTPUTS, Run, as_trial, proposed_values, trial_number

EVENTS = "logs/events.jsonl"
FAILURE = "logs/failure.json"
RUN = f"{OUTPUTS}/run"
"""What a step leaves among the files of its run."""

_SCRIPT = """\
from {module} import connect  # noqa: E402  # from the wheels
from ftkit_azure.step import run_step  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_step("{verb}", pathlib.Path(__file__).resolve().parent, connect))
"""


class Job(Protocol):
    """The service as one of its own jobs sees it: what an SDK brings to the steps."""

    run: str
    """Identifier of this job's run."""

    @property
    def pipeline(self) -> str:
        """Identifier of the pipeline that the job is a step of."""
        ...

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial, in the order of the numbers; they have arrived when this returns."""
        ...

    def search(self) -> Run:
        """The run whose children are the trials. Raises: StageError."""
        ...

    def fetch(self, run: Run, folder: Path) -> None:
        """Download a run's outputs into an empty folder. Raises: StageError."""
        ...

    def fetch_decision(self, folder: Path) -> None:
        """Download the run's folder that the decision has left into an empty folder. Raises: StageError."""
        ...


@dataclass(frozen=True)
class Task:
    """What a step has to do."""

    plan: Plan
    snapshot: snapshot.Contents
    run: str
    """Identifier of ftkit's run."""
    values: Mapping[str, str]
    """Further arguments: the values that the service proposed."""
    checkpoints: Path | None
    """The mounted folder of all checkpoints, where the recipe asks for them."""
    lost: Callable[[], str]
    """Says which process of several is gone, if one is."""

    def own_checkpoints(self, run: str) -> Path | None:
        """The folder of a run's checkpoints: a job that is started again keeps its run, and finds them."""
        return self.checkpoints and self.checkpoints / run


def scripts(module: str) -> dict[str, str]:
    """The scripts of the steps by file name; `module` has `connect`, which returns a `Job`."""
    return {f"{verb}.py": _SCRIPT.format(module=module, verb=verb) for verb in _VERBS}


def run_step(verb: str, folder: Path, connect: Callable[[], Job]) -> int:
    """Carry out a step, leaving its events among its run's files, and why it failed if it did; returns the exit code.

    `verb` is trial, decide or deploy; `folder` is that of the script. Where the service starts it several times for one trial, all
    train together, the first does everything else, and this process ends here.
    """
    redact_output()
    if companions.count() == 1:
        return _carry_out(verb, folder, connect)
    companions.share_machine()
    if first_process():
        first = companions.First(lambda reason: _write_failure(StageError(reason)))
        return first.end(lambda: _carry_out(verb, folder, connect, first.lost))
    follower = companions.Follower()
    return follower.end(lambda: _follow(folder, connect, follower))


def _carry_out(verb: str, folder: Path, connect: Callable[[], Job], lost: Callable[[], str] = lambda: "") -> int:
    from ftkit.display import printer

    write, show = writer(Path(EVENTS)), printer(True)

    def emit(event: Event) -> None:
        write(event)
        show(event)

    try:
        job = connect()
        task = _task(folder, sys.argv[1:], job, lost)
        with tempfile.TemporaryDirectory(prefix="ftkit-") as work:
            _VERBS[verb](task, job, emit, Path(work))
    except TrialInterrupted:
        print("Terminated. The checkpoint is written: started again, the job goes on from there.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.TERMINATED)
    except FtkitError as error:
        _write_failure(error)
        return int(ExitCode.STAGE)
    return int(ExitCode.OK)


def _write_failure(error: FtkitError) -> None:
    print(error, file=sys.stderr)  # noqa: T201  # the log of the step, which nobody else writes
    failure = {"what": error.what, "where": error.where, "hint": error.hint, "kind": type(error).__name__}
    files.write_json(Path(FAILURE), failure)


def _follow(folder: Path, connect: Callable[[], Job], follower: companions.Follower) -> int:
    """Train with the first process of a trial; returns the exit code where that process gives none."""
    job = connect()
    task = _task(folder, sys.argv[1:], job)
    if task.plan.search.checkpoint:
        follower.leave_signals_to_the_first()
    companions.check_gpus()
    number = trial_number(job.run)
    values, seed = proposed_values(task.plan, task.values, number)
    checkpoints = task.own_checkpoints(job.run)
    with tempfile.TemporaryDirectory(prefix="ftkit-") as work:
        follow(task.plan, Path(work), number=number, values=values, seed=seed, checkpoints=checkpoints)
    return int(ExitCode.OK)


def _trial(task: Task, job: Job, emit: Emit, work: Path) -> None:
    companions.check_gpus()
    number = trial_number(job.run)
    values, seed = proposed_values(task.plan, task.values, number)
    metric = task.plan.search.metric

    def log(numbers: Mapping[str, float]) -> None:
        # The metric comes last: when it has arrived, so have the others of its evaluation.
        names = (*(name for name in numbers if name != metric), metric)
        job.log({name: numbers[name] for name in names if math.isfinite(numbers[name])})

    # A trial that fails by its own values ends well for the service, so that it does not end the whole search.
    checkpoints = task.own_checkpoints(job.run)
    trial(
        task.plan,
        Path(OUTPUTS),
        work,
        number=number,
        values=values,
        seed=seed,
        log=log,
        emit=emit,
        checkpoints=checkpoints,
        lost=task.lost,
    )


def _decide(task: Task, job: Job, emit: Emit, work: Path) -> None:
    search = job.search()
    runs = {trial_number(run.id): run for run in search.get_children()}
    trials = [as_trial(task.plan, search, run) for run in runs.values()]
    for run in runs.values():  # those that the service has ended early could not remove theirs
        if left := task.own_checkpoints(run.id):
            shutil.rmtree(left, ignore_errors=True)

    def fetch(trial: Trial, folder: Path) -> None:
        job.fetch(runs[trial.number], folder)

    ledger = transfer.ledger(task.snapshot.recipe, work, task.run)
    try:
        search_results = collected(trials, fetch, "search_minutes", task.own_checkpoints(job.run))
        decide(task.plan, ledger, emit, search_results, task.snapshot.left)
    finally:
        transfer.pack(ledger, Path(RUN))


def _deploy(task: Task, job: Job, emit: Emit, work: Path) -> None:
    job.fetch_decision(work / "decided")
    ledger = transfer.ledger(task.snapshot.recipe, work, task.run)
    transfer.take_over(ledger, work / "decided")
    try:
        deploy(task.plan, ledger, emit, task.snapshot.left)
    finally:
        transfer.pack(ledger, Path(RUN))


_VERBS: Mapping[str, Callable[[Task, Job, Emit, Path], None]] = {
    "trial": _trial,
    "decide": _decide,
    "deploy": _deploy,
}


def _task(folder: Path, arguments: Sequence[str], job: Job, lost: Callable[[], str] = lambda: "") -> Task:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--run", default="")
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--data", nargs=3, action="append", default=[], metavar=("OPTION", "FILE", "FOLDER"))
    known, rest = parser.parse_known_args(arguments)
    contents = snapshot.read(folder)
    mounted = {key: str(Path(parent, file)) for key, file, parent in known.data}
    plan = transfer.plan(contents.recipe, {**contents.overrides, **mounted})
    run = known.run or f"{plan.name}-{re.sub(r'[^A-Za-z0-9]', '', job.pipeline)[:12]}"
    return Task(plan, contents, run, _options(rest), known.checkpoints, lost)


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a mapping."""
    options, waiting = {}, list(arguments)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        if name.startswith("--"):
            options[name.removeprefix("--")] = value if equals else (waiting.pop(0) if waiting else "")
    return options
