"""The trials of a search that are under way: so many at a time, each by a worker somewhere, all facts into the journal.

All decisions are made on the thread that calls `run_all`: it waits for the messages of the workers, and wakes once in a
while to ask what they use.
"""

from __future__ import annotations

import contextlib
import math
import queue
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit import events
from ftkit.contracts import Emit, Trial, TrialState
from ftkit.errors import StageError
from ftkit.evaluation import selection
from ftkit.searching import decisions, failures
from ftkit.searching.attempts import Attempt, Inbox, Job, PlaceLost, Workers
from ftkit.searching.budget import Budget
from ftkit.searching.running import RunningTrial
from ftkit.searching.worker import disk_full
from ftkit.stages import checkpoints
from ftkit.stages.trial import LOG, clear

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger
    from ftkit.searching.options import TrialOptions


TOO_LATE = "its place became free when the budget was spent"
"""Why a trial that never began to run is ended; it leaves nothing behind."""


class TrialsUnderWay:
    """The trials of one plan that these workers run, until each has ended."""

    def __init__(
        self, plan: Plan, ledger: Ledger, emit: Emit, options: TrialOptions, workers: Workers, at_a_time: int
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.emit = emit
        self.options = options
        self.workers = workers
        self.at_a_time = at_a_time
        self.budget = Budget(plan.search, ledger, emit)
        self._running: dict[int, RunningTrial] = {}
        self._inbox: Inbox = queue.SimpleQueue()

    def run_all(self, starts: Sequence[Callable[[], None]], begun: int = 0) -> None:
        """Start one trial after another, so many at a time, until the last has ended; the first `begun` of them were interrupted."""
        waiting = deque(starts)
        next_sample = time.monotonic() + self.options.sample_seconds
        while self._running or waiting:
            while waiting and len(self._running) < self.at_a_time:
                if self.over() and (self._running or self._has_finished() or len(starts) - len(waiting) >= begun):
                    waiting.clear()
                    break
                waiting.popleft()()
            if not self._running:
                break
            try:
                attempt, message = self._inbox.get(timeout=max(0.0, next_sample - time.monotonic()))
            except queue.Empty:
                self._sample()
                next_sample = time.monotonic() + self.options.sample_seconds
            else:
                self._handle(attempt, message)

    def searched(self) -> list[Trial]:
        """The ended trials that are no repeats: samplers and policies go by them."""
        return selection.searched_trials(self.ledger.trials())

    def values(self) -> list[Mapping[str, Any]]:
        """Those of the trials under way, by number."""
        return [trial.values for _, trial in sorted(self._running.items())]

    def end(self) -> None:
        """End what still runs: the search is over, or broken off."""
        try:
            self._count(write=True)
            self.budget.close()
        finally:
            self.workers.end([trial.attempt for _, trial in sorted(self._running.items())])

    # ----------------------------------------------------------------------------------------- beginning

    def start(self, number: int, values: Mapping[str, Any], seed: int, repeats: int | None = None) -> None:
        """Start the worker of a trial's next attempt."""
        attempts = 1 + len(failures.retries(self.ledger, number))
        slot = min(set(range(self.at_a_time)) - {trial.slot for trial in self._running.values()})
        log = self.ledger.trial_folder(number) / LOG
        job: Job = {
            "recipe": self.plan.text,
            "run": str(self.ledger.folder),
            "number": number,
            "attempt": attempts,
            "values": values,
            "seed": seed,
            "processes": self.options.processes,
        }
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            attempt = self.workers.start(job, log, slot, self._inbox)
        except OSError as error:
            if disk_full(error):
                raise failures.full(self.ledger) from error
            raise StageError(
                f"the process of trial {number} cannot be started: {error.strerror or error}",
                where=str(log),
                hint="Free memory or lower search.concurrency, then give the same command: finished trials are kept.",
            ) from error
        reported = [fact for fact in self.ledger.facts("trial-reported") if fact["number"] == number]
        self._running[number] = RunningTrial(number, values, seed, slot, attempts, attempt, repeats, reported)
        if attempt.started < math.inf:
            self._started(self._running[number])

    def _started(self, trial: RunningTrial) -> None:
        """Tell that a trial has begun to run."""
        attempt, log = trial.attempt, str(self.ledger.trial_folder(trial.number) / LOG)
        self.emit(
            events.TrialStarted(
                trial.number, trial.values, trial.seed, trial.attempts, attempt.pid, log, trial.repeats, attempt.node
            )
        )

    # ---------------------------------------------------------------------------------------- under way

    def _handle(self, attempt: Attempt, message: Mapping[str, Any]) -> None:
        """Carry on with a trial by a message of its worker."""
        trial = next((each for each in self._running.values() if each.attempt is attempt), None)
        if trial is None:
            return
        if message["kind"] == "report":
            self._report(trial, message["numbers"])
        elif message["kind"] == "started":
            if self.over() and self._has_finished():
                attempt.kill(TOO_LATE)
            else:
                self._started(trial)
        elif message["kind"] == "resumed":
            trial.go_on_after(message["history"], self.plan.search.metric)
            for numbers in trial.history:
                self.emit(events.TrialReported(trial.number, numbers))
        elif message["kind"] == "noticed":
            self.ledger.append("trial-noticed", number=trial.number, text=message["text"])
            self.emit(events.Noticed(f"Trial {trial.number}: {message['text']}", warning=True))
        elif message["kind"] == "exited":
            self._exited(trial, message.get("error", ""), bool(message.get("lost")))
        else:
            trial.last_message = dict(message)
            trial.last_message_at = time.monotonic()

    def _report(self, trial: RunningTrial, numbers: dict[str, float]) -> None:
        """Answer an evaluation: whether the trial goes on, and whether this is its best evaluation."""
        metric = self.plan.search.metric
        known = trial.reported_before(numbers, metric)
        best = trial.add(known["numbers"] if known else numbers, metric)
        self.emit(events.TrialReported(trial.number, numbers))
        others = self.searched(), self._running.values()
        if self.over():
            go, ends = decisions.past_budget(self.plan, trial, *others)
            trial.attempt.send({"go": go, "best": best, "ends": ends})
            return
        go = known["go"] if known else decisions.goes_on(self.plan, trial, *others)
        if known is None and self.plan.search.checkpoint:
            self.ledger.append("trial-reported", number=trial.number, numbers=numbers, go=go)
        trial.attempt.send({"go": go, "best": best})

    def _count(self, *, write: bool = False) -> None:
        """Count what the trials under way use of the budget."""
        self.budget.count([trial.attempt for trial in self._running.values()], write=write)

    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.budget.over([trial.attempt for trial in self._running.values()])

    def _has_finished(self) -> bool:
        """Whether a trial of the search has finished, so that one can win."""
        return any(trial.state == "finished" for trial in self.searched())

    def _sample(self) -> None:
        """Sample what every trial uses, and end those that use too much."""
        self._count()
        for number, trial in sorted(self._running.items()):
            sample = trial.attempt.sample()
            if sample is None:
                continue
            self.emit(
                events.TrialSampled(
                    number, sample.cpu_percent, sample.memory_mb, sample.gpu_percent, sample.gpu_memory_mb
                )
            )
            limits = self.options.memory_limit_mb, self.options.timeout_minutes
            if reason := trial.limit_exceeded(sample.memory_mb, *limits):
                trial.attempt.kill(reason)

    # ------------------------------------------------------------------------------------------- ending

    def _exited(self, trial: RunningTrial, error: str, lost: bool) -> None:
        """A worker is gone: the trial is finished, stopped, tried again or failed.

        `error` says why it ended without a message of its own, `lost` that the place where it ran is gone.
        """
        self._count(write=True)
        del self._running[trial.number]
        if trial.attempt.killed == TOO_LATE:
            trial.attempt.release()
            return
        lost = lost and trial.last_message is None
        ending = trial.last_message or {"kind": "failed", "error": error, "hopeless": bool(trial.attempt.killed)}
        if ending.get("full"):
            raise failures.full(self.ledger)
        if "raised" in ending:
            raise failures.rebuilt(*ending["raised"])
        if ending["kind"] == "stopped":
            with contextlib.suppress(PlaceLost):  # its probabilities are not worth another training
                trial.attempt.collect(model=False)
            self._end(trial, "stopped")
        elif ending["kind"] == "finished":
            self._finished(trial)
        elif not ending.get("hopeless") and self._tried_again(trial.number, lost):
            self._start_again(trial, ending["error"], lost)
        else:
            clear(self.ledger.trial_folder(trial.number))
            self._end(trial, "failed", ending["error"])
            if not any(each.history for each in self._running.values()):
                failures.check_alike(self.ledger)

    def _finished(self, running: RunningTrial) -> None:
        """Bring a finished trial's files here before the journal says that it finished."""
        trial = running.ended("finished", "", "")
        kept = selection.trials_to_keep(self.plan.search, [*self.ledger.trials(), trial])
        try:
            running.attempt.collect(model=self.options.keep_models or trial.number in kept)
        except PlaceLost as error:
            if not self._tried_again(running.number, lost=True):
                return self._end(running, "failed", str(error))
            return self._start_again(running, str(error), lost=True)
        except OSError as error:
            if disk_full(error):
                raise failures.full(self.ledger) from error
            raise
        return self._end(running, "finished")

    def _tried_again(self, number: int, lost: bool) -> bool:
        """Whether a failed trial gets another attempt; that a place was lost is no fault of the trial, and counts apart."""
        if self.over() and self._has_finished():
            return False
        before = sum(bool(fact.get("lost")) is lost for fact in failures.retries(self.ledger, number))
        return before < (self.workers.node_retries if lost else self.options.retries)

    def _start_again(self, trial: RunningTrial, reason: str, lost: bool) -> None:
        trial.attempt.release()
        self.ledger.append("trial-retried", number=trial.number, reason=reason, **({"lost": True} if lost else {}))
        self.emit(events.TrialRetried(trial.number, reason))
        self.start(trial.number, trial.values, trial.seed, trial.repeats)

    def _end(self, running: RunningTrial, state: TrialState, error: str = "") -> None:
        """Write a trial down for good, then remove the models it has beaten, or its own."""
        folder = self.ledger.trial_folder(running.number).relative_to(self.ledger.folder)
        trial = running.ended(state, error, str(folder))
        self.ledger.record_trial(trial)
        checkpoints.remove(self.ledger.trial_folder(running.number))
        self.remove_beaten_models()
        running.attempt.release()
        self.emit(events.TrialFinished(trial))

    def remove_beaten_models(self) -> None:
        """Remove the models of finished trials that cannot win any more, by the journal alone."""
        if self.options.keep_models:
            return
        trials = self.ledger.trials()
        numbers = selection.trials_to_keep(self.plan.search, trials)
        for trial in trials:
            if trial.number not in numbers:
                shutil.rmtree(self.ledger.trial_folder(trial.number) / "model", ignore_errors=True)
