"""What a pipeline does, as the events of a run on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ftkit.contracts import Emit, events
from ftkit.contracts.plan import Plan
from ftkit.redaction import redacted
from ftkit.remote.event_log import parse
from ftkit_azure import runs, states
from ftkit_azure.pipeline import StepNames
from ftkit_azure.runs import Run
from ftkit_azure.step import EVENTS, FAILURE

_STAGES = (events.StageStarted, events.StageFinished, events.StageFailed)


class PipelineMonitor:
    """Looks at a pipeline again and again, and emits once what has happened since.

    `search` finds the run whose children are the trials, given the step that searches; None while there is none.
    """

    def __init__(
        self, plan: Plan, pipeline: Run, emit: Emit, names: StepNames, search: Callable[[Run], Run | None]
    ) -> None:
        self.plan = plan
        self.pipeline = pipeline
        self.emit = emit
        self.names = names
        self.search = search
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._evaluations: dict[str, int] = {}
        self._lines: dict[str, int] = {}
        self._status: dict[str, str] = {}
        self._silent = False
        self._data_emitted = False
        self._searching_since: float | None = None

    def update(self) -> None:
        """Emit what is new. Raises: what the SDK raises when the service does not answer."""
        steps = {run.name: run for run in self.pipeline.get_children()}
        for name in self.names:
            if name in steps:
                self._notice(name, steps[name].status)
        if self.names.search in steps:
            self._update_trials(steps[self.names.search])
        for name in (self.names.decide, self.names.deploy):
            if name in steps and steps[name].status in states.STARTED:
                self._forward(steps[name])
        self._silent = False

    def unanswered(self, reason: str) -> None:
        """Emit, once until the service answers again, that it did not."""
        if not self._silent:
            text = redacted(f"The service does not answer, and is tried again: {reason}")
            self.emit(events.Noticed(text, warning=True))
        self._silent = True

    def failure(self, status: str) -> str:
        """Why the pipeline did not succeed, in the words of the step that failed."""
        for run in self.pipeline.get_children():
            if run.status not in states.UNSUCCESSFUL:
                continue
            if written := runs.read_text(run, FAILURE):
                failure = json.loads(written)
                where = f"{failure['where']}: " if failure["where"] else ""
                return f"the step {run.name} failed: {where}{failure['what']}. {failure['hint']}".strip()
            message = runs.error_message(run)
            return f"the step {run.name} ended as {run.status}{f': {message}' if message else ''}"[:600]
        return f"the pipeline ended as {status}"

    def _notice(self, name: str, status: str) -> None:
        if self._status.get(name) != status:
            if status in states.WAITING:
                self.emit(events.Noticed(f"{name}: {status.lower()}"))
            self._status[name] = status

    def _update_trials(self, step: Run) -> None:
        search = self.search(step)
        if search is None:
            return
        trials = [run for run in search.get_children() if run.status in states.STARTED]
        if self._searching_since is None:
            if not self._begin_search(trials):
                return
            self._searching_since = time.monotonic()
        for run in sorted(trials, key=lambda run: runs.trial_number(run.id)):
            if run.id not in self._ended:
                self._update_trial(search, run)

    def _begin_search(self, trials: Sequence[Run]) -> bool:
        """Emit the events of the data, as a trial has read them, and that the search begins; False while there are none."""
        loading = [event for run in trials for event in self._events(run) if _is_about_data(event)]
        loaded = [index for index, event in enumerate(loading) if isinstance(event, events.StageFinished)]
        if not loaded and all(run.status in states.RUNNING for run in trials):
            return False
        for event in loading[: loaded[0] + 1] if loaded else ():
            self.emit(event)
        self._data_emitted = bool(loaded)
        search = self.plan.search
        self.emit(events.StageStarted("search"))
        self.emit(events.SearchStarted(search.trials, 0, search.metric, min(search.concurrency, search.trials)))
        return True

    def _update_trial(self, search: Run, run: Run) -> None:
        number = runs.trial_number(run.id)
        if run.id not in self._begun:
            values, seed = runs.assigned_values(self.plan, search, run)
            self.emit(events.TrialStarted(number, values, seed, 1, 0, run.get_portal_url()))
            self._begun.add(run.id)
        curve = runs.history(run, self.plan.search.metric)
        for numbers in curve[self._evaluations.get(run.id, 0) :]:
            self.emit(events.TrialReported(number, numbers))
        self._evaluations[run.id] = max(len(curve), self._evaluations.get(run.id, 0))
        if run.status in states.ENDED:
            self._ended.add(run.id)
            self.emit(events.TrialFinished(runs.as_trial(self.plan, search, run).trial))

    def _forward(self, run: Run) -> None:
        """Emit the events that a step has written down, except those that the trials have brought already."""
        first = self._lines.get(run.id, 0)
        if first < 0:
            return
        written = self._events(run)
        for event in written[first:]:
            if isinstance(event, _STAGES) and event.stage == "search":
                self._forward_search(event)
            elif not (self._data_emitted and _is_about_data(event)):
                self.emit(event)
        self._lines[run.id] = -1 if run.status in states.ENDED else len(written)

    def _forward_search(self, event: events.Event) -> None:
        """Emit the end of the search, which began with the trials and not where their models were collected."""
        since = self._searching_since
        if isinstance(event, events.StageFinished | events.StageFailed) and since is not None:
            event = replace(event, seconds=time.monotonic() - since)
        if since is None or not isinstance(event, events.StageStarted):
            self.emit(event)

    @staticmethod
    def _events(run: Run) -> list[events.Event]:
        """The events that a run has written so far; a line that is not complete yet comes later."""
        parsed = (parse(line) for line in runs.read_text(run, EVENTS).split("\n")[:-1])
        return [event for event in parsed if event is not None]


def _is_about_data(event: events.Event) -> bool:
    """Whether an event belongs to the loading of the data."""
    return isinstance(event, events.DataLoaded) or (isinstance(event, _STAGES) and event.stage == "data")
