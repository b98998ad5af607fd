"""What a pipeline does, as the events of a run on this machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ftkit import events, steps
from ftkit.contracts import Emit
from ftkit.plan import Plan
from ftkit_hyperdrive import sdk, step, trials
from ftkit_hyperdrive.graph import DECIDE, DEPLOY, SEARCH


class Watch:
    """Looks at a pipeline again and again, and tells once what has come since."""

    def __init__(self, plan: Plan, pipeline: Any, emit: Emit) -> None:
        self.plan = plan
        self.pipeline = pipeline
        self.emit = emit
        self._begun: set[str] = set()
        self._reported: dict[str, int] = {}
        self._ended: set[str] = set()
        self._told: dict[str, int] = {}
        self._status: dict[str, str] = {}
        self._trouble = ""

    def look(self) -> None:
        """Tell what is new. Raises: whatever the SDK raises when the service does not answer."""
        runs = {each.name: each for each in self.pipeline.get_children()}
        for name in (SEARCH, DECIDE, DEPLOY):
            if name in runs:
                self._changed(name, runs[name].status)
        if SEARCH in runs:
            self._look_at_trials(runs[SEARCH])
        for name in (DECIDE, DEPLOY):
            if name in runs and runs[name].status in (*trials.RUNNING, *trials.ENDED):
                self._pass_on(runs[name])
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
                failure = self._file(run, step.FAILURE)
                if failure:
                    said = json.loads(failure)
                    where = f"{said['where']}: " if said["where"] else ""
                    return f"the step {run.name} failed: {where}{said['what']}. {said['mend']}".strip()
                error = (run.get_details().get("error") or {}).get("error") or {}
                words = " ".join(str(error.get("message") or "").split())
                return sdk.redacted(f"the step {run.name} ended as {run.status}" + (f": {words}" if words else ""))[
                    :600
                ]
        return f"the pipeline ended as {status}"

    def _changed(self, name: str, status: str) -> None:
        if self._status.get(name) != status:
            if status in ("Queued", "Preparing", "Provisioning", "Starting"):
                self.emit(events.Noticed(f"{name}: {status.lower()}"))
            self._status[name] = status

    def _look_at_trials(self, run: Any) -> None:
        search = trials.search_run(run)
        if search is None:
            return
        if not self._begun:
            wanted = self.plan.search
            total = wanted.trials
            self.emit(events.StageStarted("search"))
            self.emit(events.SearchStarted(total, 0, wanted.metric, min(wanted.concurrency, total)))
            self._begun.add(search.id)
        for each in sorted(search.get_children(), key=trials.number):
            if each.id not in self._ended and each.status in (*trials.RUNNING, *trials.ENDED):
                self._look_at_trial(search, each)

    def _look_at_trial(self, search: Any, run: Any) -> None:
        number = trials.number(run)
        if run.id not in self._begun:
            values, seed = trials.values(self.plan, search, run)
            self.emit(events.TrialStarted(number, values, seed, 1, 0, run.get_portal_url()))
            self._begun.add(run.id)
        curve = trials.history(run)
        for numbers in curve[self._reported.get(run.id, 0) :]:
            if self.plan.search.metric in numbers:
                self.emit(events.TrialReported(number, numbers))
        self._reported[run.id] = max(len(curve), self._reported.get(run.id, 0))
        if run.status in trials.ENDED:
            self._ended.add(run.id)
            self.emit(events.TrialFinished(trials.arrived(self.plan, search, run).trial))

    def _pass_on(self, run: Any) -> None:
        """Tell what a step has written of its own events."""
        if self._told.get(run.id, 0) < 0:
            return
        lines = self._file(run, step.EVENTS).split("\n")
        complete = lines[:-1]  # the last may be half a line
        for line in complete[self._told.get(run.id, 0) :]:
            event = steps.parse(line)
            if event is not None and not _again(event):
                self.emit(event)
        self._told[run.id] = -1 if run.status in trials.ENDED else len(complete)

    @staticmethod
    def _file(run: Any, name: str) -> str:
        """A text file that a run has left so far; empty while there is none."""
        if name not in run.get_file_names():
            return ""
        with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
            path = Path(folder) / "file"
            run.download_file(name, str(path))
            return path.read_text(encoding="utf-8")


def _again(event: events.Event) -> bool:
    """Whether the trials have told this already."""
    return isinstance(event, events.StageStarted) and event.stage == "search"
