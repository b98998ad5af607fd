"""Runs the trials of a search: so many at a time, each in a process, all facts into the journal.

Everything that decides is done on the thread that calls `run`: it waits for what the processes say and wakes once in
a while to look at what they use.
"""

from __future__ import annotations

import functools
import math
import queue
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit import events
from ftkit.contracts import Emit, Trial, TrialState
from ftkit.encoders.process_environment import process_environment
from ftkit.errors import StageError
from ftkit.evaluation import metrics, selection
from ftkit.stages.trial import clear
from ftkit_local import failures, policies, study, usage
from ftkit_local.process import Inbox, Surroundings, TrialProcess, end
from ftkit_local.worker import disk_full

if TYPE_CHECKING:
    from ftkit.recipe.loader import Plan
    from ftkit.runs.ledger import Ledger
    from ftkit_local.platform import LocalPlatform

_LEAVING_SECONDS = 60
"""How long a worker that has said how its trial ended may take to exit."""


@dataclass
class Running:
    """A trial under way."""

    number: int
    values: Mapping[str, Any]
    seed: int
    slot: int
    attempt: int
    process: TrialProcess
    meter: usage.Meter
    history: list[dict[str, float]] = field(default_factory=list)
    repeats: int | None = None
    """Number of the trial that this one repeats with another seed."""
    best: int = 0
    """Place of the best evaluation in `history`."""
    ended: dict[str, Any] | None = None
    """What the worker said last, and when."""
    ended_at: float = math.inf


class Trials:
    """The trials of one plan, carried out on this machine."""

    def __init__(self, platform: LocalPlatform, plan: Plan, ledger: Ledger, emit: Emit) -> None:
        self.platform = platform
        self.plan = plan
        self.ledger = ledger
        self.emit = emit
        self.total = study.total(plan.search)
        # Of the plan alone, not of what is left to do: a resumed trial must get the threads it had before.
        self.at_a_time = min(plan.search.concurrency, self.total)
        self._running: dict[int, Running] = {}
        self._inbox: Inbox = queue.SimpleQueue()
        devices = usage.gpus() if platform.devices is None else platform.devices
        self._devices = usage.deal(devices, self.at_a_time)
        self._choose_devices = platform.devices is not None or len(devices) > 1
        self._variables = process_environment(platform.threads or max(1, usage.cores() // self.at_a_time))

    def run(self) -> list[Trial]:
        """Every trial and repeat by number, those of an interrupted run included."""
        try:
            self._search()
            failures.check_success(self.ledger)
            self._confirm()
        finally:
            end([running.process for _, running in sorted(self._running.items())])
        return self.ledger.trials()

    def _search(self) -> None:
        """Run the trials that the recipe asks for."""
        ended = self._searched()
        self.emit(events.SearchStarted(self.total, len(ended), self.plan.search.metric, self.at_a_time))
        self._notice()
        self._keep_best()
        begun = {fact["number"]: fact for fact in self.ledger.facts("trial-started")}
        interrupted = sorted((begun.keys() & set(range(self.total))) - {trial.number for trial in ended})
        fresh = range(max(begun, default=-1) + 1, self.total)
        self._carry_out(
            [
                functools.partial(self._start, begun[each]["number"], begun[each]["values"], begun[each]["seed"])
                for each in interrupted
            ]
            + [functools.partial(self._begin, number) for number in fresh]
        )

    def _confirm(self) -> None:
        """Train the best configurations again with other seeds, where the recipe asks for it."""
        if not (planned := selection.planned_repeats(self.plan.search, self.plan.seed, self.ledger.trials())):
            return
        ended = {trial.number for trial in self.ledger.trials()}
        done = sum(each.number in ended for each in planned)
        repeated = tuple(dict.fromkeys(each.repeats for each in planned))
        self.emit(events.ConfirmationStarted(repeated, len(planned) // len(repeated), len(planned), done))
        self._carry_out([functools.partial(self._repeat, each) for each in planned if each.number not in ended])

    def _carry_out(self, starts: Sequence[Callable[[], None]]) -> None:
        """Start one trial after another, so many at a time, until the last has ended."""
        waiting = deque(starts)
        next_look = time.monotonic() + self.platform.sample_seconds
        while self._running or waiting:
            while waiting and len(self._running) < self.at_a_time:
                waiting.popleft()()
            try:
                process, message = self._inbox.get(timeout=max(0.0, next_look - time.monotonic()))
            except queue.Empty:
                self._look()
                next_look = time.monotonic() + self.platform.sample_seconds
            else:
                self._hear(process, message)

    def _searched(self) -> list[Trial]:
        """The trials of the search that came to their end: what samplers and policies go by."""
        return selection.searched_trials(self.ledger.trials())

    # ----------------------------------------------------------------------------------------- beginning

    def _begin(self, number: int) -> None:
        """Propose a new trial, write it down, start it."""
        begun = [running.values for _, running in sorted(self._running.items())]
        values, seed = study.propose(self.plan.search, self.plan.seed, number, self._searched(), begun)
        self.ledger.append("trial-started", number=number, values=values, seed=seed)
        self._start(number, values, seed)

    def _repeat(self, repeat: selection.Repeat) -> None:
        """Write down a repeat, unless an interrupted run did, and start it."""
        if all(fact["number"] != repeat.number for fact in self.ledger.facts("trial-started")):
            self.ledger.append("trial-started", **asdict(repeat))
        self._start(repeat.number, repeat.values, repeat.seed, repeat.repeats)

    def _start(self, number: int, values: Mapping[str, Any], seed: int, repeats: int | None = None) -> None:
        """Start the process of a trial's next attempt."""
        retries = [fact for fact in self.ledger.facts("trial-retried") if fact["number"] == number]
        attempt = 1 + len(retries)
        slot = min(set(range(self.at_a_time)) - {running.slot for running in self._running.values()})
        log = self.ledger.trial_folder(number) / "trial.log"
        job = {
            "recipe": self.plan.text,
            "run": str(self.ledger.folder),
            "number": number,
            "attempt": attempt,
            "values": values,
            "seed": seed,
        }
        surroundings = Surroundings(self._variables, self._devices[slot] if self._choose_devices else None)
        try:
            process = TrialProcess(job, log, surroundings, self._inbox)
        except OSError as error:
            if disk_full(error):
                raise failures.full(self.ledger) from error
            raise StageError(
                f"the process of trial {number} cannot be started: {error.strerror or error}",
                where=str(log),
                hint="Free memory or lower search.concurrency, then give the same command: finished trials are kept.",
            ) from error
        meter = usage.Meter(process.pid, self._devices[slot])
        self._running[number] = Running(number, values, seed, slot, attempt, process, meter, repeats=repeats)
        self.emit(events.TrialStarted(number, values, seed, attempt, process.pid, str(log), repeats))

    def _notice(self) -> None:
        """Say when the space is smaller than the number of trials asked for."""
        search, count = self.plan.search, study.combinations(self.plan.search)
        if not search.space or count is None or count >= search.trials:
            return
        if search.sampler == "grid":
            text = f"The grid has {count} combinations: the search ends after them, not after {search.trials} trials."
        elif search.sampler == "random":
            text = f"The space has {count} combinations: trials after that repeat values with another seed."
        else:
            return
        self.emit(events.Noticed(text))

    # ------------------------------------------------------------------------------------------ hearing

    def _hear(self, process: TrialProcess, message: Mapping[str, Any]) -> None:
        running = next((each for each in self._running.values() if each.process is process), None)
        if running is None:
            return
        if message["kind"] == "report":
            self._report(running, message["numbers"])
        elif message["kind"] == "exited":
            self._exited(running, message["code"])
        else:
            running.ended = dict(message)
            running.ended_at = time.monotonic()

    def _report(self, running: Running, numbers: dict[str, float]) -> None:
        """Answer an evaluation: whether it is the trial's best, and whether the trial goes on."""
        metric = self.plan.search.metric
        running.history.append(numbers)
        place = len(running.history) - 1
        if metrics.better(metric, numbers[metric], running.history[running.best][metric]):
            running.best = place
        self.emit(events.TrialReported(running.number, numbers))
        if running.repeats is not None:  # it measures a whole training, so no policy cuts it short
            running.process.send({"go": True, "best": running.best == place})
            return
        ended = {trial.number: trial.history for trial in self._searched() if trial.state != "failed"}
        under_way = {each.number: each.history for each in self._running.values()}
        others = [
            [entry[metric] for entry in history]
            for number, history in sorted({**ended, **under_way}.items())
            if number != running.number
        ]
        values = [entry[metric] for entry in running.history]
        stop = policies.stops(self.plan.search.policy, metric, values, others)
        running.process.send({"go": not stop, "best": running.best == place})

    def _look(self) -> None:
        """Sample what every trial uses, and end those that use too much."""
        memory, minutes = self.platform.memory_limit_mb, self.platform.timeout_minutes
        for number, running in sorted(self._running.items()):
            sample = running.meter.sample()
            if sample is None:
                continue
            self.emit(
                events.TrialSampled(
                    number, sample.cpu_percent, sample.memory_mb, sample.gpu_percent, sample.gpu_memory_mb
                )
            )
            now = time.monotonic()
            if running.ended is not None:
                if now - running.ended_at > _LEAVING_SECONDS:
                    running.process.kill("it did not exit")
            elif memory is not None and sample.memory_mb > memory:
                running.process.kill(f"it used {sample.memory_mb:.0f} MB, more than memory_limit_mb = {memory}")
            elif minutes is not None and now - running.process.started > 60 * minutes:
                running.process.kill(f"it took longer than timeout_minutes = {minutes:g}")

    # ------------------------------------------------------------------------------------------- ending

    def _exited(self, running: Running, code: int) -> None:
        """A process is gone: the trial is finished, stopped, tried again or failed."""
        del self._running[running.number]
        killed = bool(running.process.killed)
        said = running.ended or {"kind": "failed", "error": failures.cause(running.process, code), "hopeless": killed}
        if said.get("full"):
            raise failures.full(self.ledger)
        if "raised" in said:
            raise failures.rebuilt(*said["raised"])
        if said["kind"] != "failed":
            self._end(running, said["kind"])
        elif running.attempt <= self.platform.retries and not said.get("hopeless"):
            self.ledger.append("trial-retried", number=running.number, reason=said["error"])
            self.emit(events.TrialRetried(running.number, said["error"]))
            self._start(running.number, running.values, running.seed, running.repeats)
        else:
            clear(self.ledger.trial_folder(running.number))
            self._end(running, "failed", said["error"])
            if not any(each.history for each in self._running.values()):
                failures.check_alike(self.ledger)

    def _end(self, running: Running, state: TrialState, error: str = "") -> None:
        """Write a trial down for good, then remove the models it has beaten, or its own."""
        best = running.history[running.best] if running.history and state != "failed" else {}
        seconds = time.monotonic() - running.process.started
        trial = Trial(
            number=running.number,
            values=running.values,
            seed=running.seed,
            state=state,
            history=tuple(running.history),
            metrics={name: best[name] for name in metrics.METRICS if name in best},
            epoch=int(best.get("epoch", 0)),
            seconds=round(seconds, 3),
            attempts=running.attempt,
            error=error,
            resources=running.meter.resources(**(running.ended or {}).get("usage", {})),
            repeats=running.repeats,
            folder=str(self.ledger.trial_folder(running.number).relative_to(self.ledger.folder)),
        )
        self.ledger.record_trial(trial)
        self._keep_best()
        self.emit(events.TrialFinished(trial))

    def _keep_best(self) -> None:
        """Remove the models of finished trials that cannot win any more; what the journal says is all that counts."""
        if self.platform.keep_models:
            return
        trials = self.ledger.trials()
        kept = selection.trials_to_keep(self.plan.search, trials)
        for trial in trials:
            if trial.number not in kept:
                shutil.rmtree(self.ledger.trial_folder(trial.number) / "model", ignore_errors=True)
