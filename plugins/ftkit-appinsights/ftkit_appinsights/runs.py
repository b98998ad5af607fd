"""A run as spans, one within the other, and events.

The run is a span; its stages and trials are spans within it, each sent when it ends. What a run decides, and what becomes of a
trial, is an event besides. Free text (sentences of verdicts, errors, notices) can quote rows of the data or a log, so
that it is sent only when texts are asked for.
"""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit import events
from ftkit.contracts import Trial
from ftkit.errors import PluginError
from ftkit.events import Event
from ftkit_appinsights.pipeline import Pipeline, context_of
from ftkit_appinsights.settings import Settings

log = logging.getLogger("ftkit.telemetry")

PATIENCE = 3.0
"""Seconds that the end of a run waits for what is still queued."""


class Teller:
    """Sends the events of the runs of this process, one run at a time."""

    def __init__(self, pipeline: Pipeline, texts: bool) -> None:
        self._pipeline = pipeline
        self._texts = texts
        self._run = ""
        self._span: Any = None
        self._within: Any = None
        self._lock = threading.Lock()  # trials report from threads

    def tell(self, event: Event) -> None:
        """Send what an event says; one that is of no interest, or not known, is passed over."""
        with self._lock:
            self._tell(event)

    def close(self) -> None:
        """Send what is left, that of a run which was interrupted included, for a moment at most."""
        with self._lock:
            self._finish(failed=True)
        self._pipeline.close(PATIENCE)

    def _tell(self, event: Event) -> None:
        said: dict[str, Any]
        match event:
            case events.RunStarted():
                self._finish(failed=True)
                self._run = event.run
                said = _named({"recipe": Path(event.recipe).name, "resumed": event.resumed})
                self._span = self._pipeline.begin("ftkit run", time.time_ns(), {"ftkit.run": self._run, **said})
                self._within = context_of(self._span)
                self._event("run.started", said)
            case events.RunFinished():
                said = _named({"promoted": event.promoted, "exit_code": event.exit_code, "seconds": event.seconds})
                self._event("run.finished", said)
                self._finish(said)
                self._pipeline.flush(PATIENCE)
            case events.StageFinished():
                said = {"stage": event.stage, "seconds": event.seconds, "reused": event.reused}
                self._ended(f"stage {event.stage}", event.seconds, _named(said))
                self._event("stage", _named({**said, "state": "finished"}))
            case events.StageFailed():
                said = {"stage": event.stage, "seconds": event.seconds, "error": self._free(event.error)}
                self._ended(f"stage {event.stage}", event.seconds, _named(said), failed=True)
                self._event("stage", _named({**said, "state": "failed"}))
                self._finish(failed=True)  # a stage that fails is the run's end
            case events.DataLoaded(report):
                counts = {name: sum(classes.values()) for name, classes in report.counts.items()}
                dropped = sum(report.dropped.values())
                self._event("data", _named({"rows": counts, "dropped": dropped, "fingerprint": report.fingerprint}))
            case events.TrialFinished(trial):
                self._ended(f"trial {trial.number}", trial.seconds, self._trial(trial), failed=trial.state == "failed")
                self._event("trial", self._trial(trial))
            case events.TrialRetried():
                self._event("trial.retried", _named({"trial": event.number, "reason": self._free(event.reason)}))
            case events.BestSelected(trial):
                self._event("selected", {**self._trial(trial), "ftkit.metric": event.metric})
            case events.VerdictReached(verdict):
                said = {"test": verdict.test, "status": verdict.status, "sentence": self._free(verdict.sentence)}
                self._event("verdict", {**_named(said), **_all("number", verdict.numbers)})
            case events.PromotionDecided():
                said = {"promoted": event.promoted, "sentence": self._free(event.sentence)}
                self._event("promotion", _named(said))
            case events.ModelRegistered(version):
                said = {"model": version.model, "version": version.version, "bundle": version.bundle_hash}
                self._event("registered", {**_named(said), **_all("metric", version.metrics)})
            case events.DeploymentChanged():
                said = {"endpoint": event.endpoint, "deployment": event.deployment, "step": event.step}
                self._event("deployment", _named({**said, "detail": self._free(event.detail)}))
            case events.TrafficMoved():
                self._event("traffic", _named({"endpoint": event.endpoint, "shares": dict(event.shares)}))

    def _trial(self, trial: Trial) -> dict[str, Any]:
        about = {
            "trial": trial.number,
            "state": trial.state,
            "seconds": trial.seconds,
            "seed": trial.seed,
            "epoch": trial.epoch,
            "attempts": trial.attempts,
            "repeats": trial.repeats,
            "error": self._free(trial.error),
        }
        values, metrics, used = (
            _all("value", trial.values),
            _all("metric", trial.metrics),
            _all("used", trial.resources),
        )
        return {**_named(about), **values, **metrics, **used}

    def _free(self, text: str) -> str:
        """Free text as it may be sent."""
        return text if self._texts else ""

    def _event(self, name: str, attributes: Mapping[str, Any]) -> None:
        self._pipeline.event(f"ftkit.{name}", {"ftkit.run": self._run, **attributes}, self._within)

    def _ended(self, name: str, seconds: float, attributes: Mapping[str, Any], *, failed: bool = False) -> None:
        """Send a span that ends now and took this long."""
        now = time.time_ns()
        about = {"ftkit.run": self._run, **attributes}
        span = self._pipeline.begin(name, now - round(seconds * 1e9), about, self._within)
        self._pipeline.end(span, now, failed=failed)

    def _finish(self, attributes: Mapping[str, Any] | None = None, *, failed: bool = False) -> None:
        """End the run's span, if there is one."""
        if self._span is not None:
            self._pipeline.end(self._span, time.time_ns(), attributes, failed=failed)
        self._span = self._within = None


@functools.cache
def teller(settings: Settings) -> Teller | None:
    """The one teller of this process for these settings, which ends with the process; None when there cannot be one."""
    from ftkit import __version__

    try:
        pipeline = Pipeline(settings, {"service.name": "ftkit", "service.version": __version__})
    except PluginError as error:  # said once, and not for every event
        log.warning("the run is not told to telemetry: %s", error)
        return None
    made = Teller(pipeline, settings.texts)
    atexit.register(made.close)
    return made


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"ftkit.{name}": value for name, value in attributes.items()}


def _all(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"ftkit.{kind}.{name}": value for name, value in values.items()}
