"""What a pipeline does, as the events of a run on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ftkit.contracts import Emit, events
from ftkit.contracts.plan import Plan
from ftkit.remote.event_log import parse
from ftkit_azure import runs
from ftkit_azure.runs import Run
from ftkit_azure.step import EVENTS, FAILURE


class Names(NamedTuple):
    """What the steps of a pipeline are called."""

    search: str
    decide: str
    deploy: str


class Watch:
    """Looks at a pipeline again and again, and tells once what has come since.

    `search` finds the run whose children are the trials, given the step that searches; None while there is none.
    """

    def __init__(
        self, plan: Plan, pipeline: Run, emit: Emit, names: Names, search: Callable[[Run], Run | None]
    ) -> None:
        self.plan = plan
        self.pipeline = pipeline
        self.emit = emit
        self.names = names
        self.search = search
        self._begun: set[str] = set()
        self._reported: dict[str, int] = {}
        self._ended: set[str] = set()
        self._told: dict[str, int] = {}
        self._status: dict[str, str] = {}
        self._trouble = ""
        self._data_told = False
        self._searching_since: float | None = None

    def look(self) -> None:
        """Tell what is new. Raises: whatever is raised when the service does not answer."""
        found = {each.name: each for each in self.pipeline.get_children()}
        for name in self.names:
            if name in found:
                self._changed(name, found[name].status)
        if self.names.search in found:
            self._look_at_trials(found[self.names.search])
        for name in (self.names.decide, self.names.deploy):
            if name in found and found[name].status in (*runs.RUNNING, *runs.ENDED):
                self._pass_on(found[name])
        self._trouble = ""

    def trouble(self, said: str) -> None:
        """Tell, once for each trouble, that the service did not answer."""
        if not self._trouble:
            self.emit(events.Noticed(f"The service does not answer, and is asked again: {said}", warning=True))
        self._trouble = said

    def why(self, status: str) -> str:
        """Why the pipeline did not end well, in the words of the step that failed."""
        for run in self.pipeline.get_children():
            if run.status in ("Failed", "Canceled"):
                if failure := runs.text(run, FAILURE):
                    said = json.loads(failure)
                    where = f"{said['where']}: " if said["where"] else ""
                    return f"the step {run.name} failed: {where}{said['what']}. {said['hint']}".strip()
                words = runs.said(run)
                ended = f"the step {run.name} ended as {run.status}"
                return runs.redacted(ended + (f": {words}" if words else ""))[:600]
        return f"the pipeline ended as {status}"

    def _changed(self, name: str, status: str) -> None:
        if self._status.get(name) != status:
            if status in runs.WAITING:
                self.emit(events.Noticed(f"{name}: {status.lower()}"))
            self._status[name] = status

    def _look_at_trials(self, run: Run) -> None:
        search = self.search(run)
        if search is None:
            return
        begun = [each for each in search.get_children() if each.status in (*runs.RUNNING, *runs.ENDED)]
        if self._searching_since is None:
            if not self._begin(begun):
                return
            self._searching_since = time.monotonic()
        for each in sorted(begun, key=runs.number):
            if each.id not in self._ended:
                self._look_at_trial(search, each)

    def _begin(self, begun: Sequence[Run]) -> bool:
        """Tell of the data, as a trial has read them, and that the search begins; False while there is nothing to tell."""
        found = [event for each in begun for event in self._events(each) if _of_the_data(event)]
        loaded = [index for index, event in enumerate(found) if isinstance(event, events.StageFinished)]
        if not loaded and all(each.status in runs.RUNNING for each in begun):
            return False
        for event in found[: loaded[0] + 1] if loaded else ():
            self.emit(event)
        self._data_told = bool(loaded)
        search = self.plan.search
        self.emit(events.StageStarted("search"))
        self.emit(events.SearchStarted(search.trials, 0, search.metric, min(search.concurrency, search.trials)))
        return True

    def _look_at_trial(self, search: Run, run: Run) -> None:
        number = runs.number(run)
        if run.id not in self._begun:
            values, seed = runs.assigned(self.plan, search, run)
            self.emit(events.TrialStarted(number, values, seed, 1, 0, run.get_portal_url()))
            self._begun.add(run.id)
        curve = runs.history(run, self.plan.search.metric)
        for numbers in curve[self._reported.get(run.id, 0) :]:
            self.emit(events.TrialReported(number, numbers))
        self._reported[run.id] = max(len(curve), self._reported.get(run.id, 0))
        if run.status in runs.ENDED:
            self._ended.add(run.id)
            self.emit(events.TrialFinished(runs.as_trial(self.plan, search, run).trial))

    def _pass_on(self, run: Run) -> None:
        """Tell what a step has written of its own events, but what the trials have told already."""
        if self._told.get(run.id, 0) < 0:
            return
        told = self._events(run)
        for event in told[self._told.get(run.id, 0) :]:
            if (
                isinstance(event, events.StageStarted | events.StageFinished | events.StageFailed)
                and event.stage == "search"
            ):
                self._searched(event)
            elif not (self._data_told and _of_the_data(event)):
                self.emit(event)
        self._told[run.id] = -1 if run.status in runs.ENDED else len(told)

    def _searched(self, event: events.Event) -> None:
        """Tell of the end of the search, which began with the trials and not where their models were collected."""
        since = self._searching_since
        if isinstance(event, events.StageFinished | events.StageFailed) and since is not None:
            event = replace(event, seconds=time.monotonic() - since)
        if since is None or not isinstance(event, events.StageStarted):
            self.emit(event)

    @staticmethod
    def _events(run: Run) -> list[events.Event]:
        """What a run has told so far; a line that is not whole yet comes later."""
        found = (parse(line) for line in runs.text(run, EVENTS).split("\n")[:-1])
        return [event for event in found if event is not None]


def _of_the_data(event: events.Event) -> bool:
    """Whether this is told while the data are loaded."""
    stage = isinstance(event, events.StageStarted | events.StageFinished | events.StageFailed) and event.stage == "data"
    return stage or isinstance(event, events.DataLoaded)
