"""Sends a run as nested spans and as events.

The run is a span; its stages and trials are spans within it, each sent when it ends. Decisions and results of trials are
also events. Free text (sentences of verdicts, errors, notices) can quote rows of the data or a log, so it is sent only
if FTKIT_TELEMETRY_TEXTS says so.
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
"""Seconds that the end of a run waits for the queue to be sent."""


class RunTelemetry:
    """Sends the events of this process's runs, one run at a time."""

    def __init__(self, pipeline: Pipeline, texts: bool) -> None:
        self._pipeline = pipeline
        self._texts = texts
        self._run = ""
        self._span: Any = None
        self._context: Any = None
        self._lock = threading.Lock()  # trials report from threads

    def send(self, event: Event) -> None:
        """Send an event; kinds that telemetry does not have are ignored."""
        with self._lock:
            self._send(event)

    def close(self) -> None:
        """End the span of an interrupted run and send what is queued, for a limited time."""
        with self._lock:
            self._finish(failed=True)
        self._pipeline.close(PATIENCE)

    def _send(self, event: Event) -> None:
        values: dict[str, Any]
        match event:
            case events.RunStarted():
                self._finish(failed=True)
                self._run = event.run
                values = _named({"recipe": Path(event.recipe).name, "resumed": event.resumed})
                self._span = self._pipeline.begin("ftkit run", time.time_ns(), {"ftkit.run": self._run, **values})
                self._context = context_of(self._span)
                self._event("run.started", values)
            case events.RunFinished():
                values = _named({"promoted": event.promoted, "exit_code": event.exit_code, "seconds": event.seconds})
                self._event("run.finished", values)
                self._finish(values)
                self._pipeline.flush(PATIENCE)
            case events.StageFinished():
                values = {"stage": event.stage, "seconds": event.seconds, "reused": event.reused}
                self._span_ended(f"stage {event.stage}", event.seconds, _named(values))
                self._event("stage", _named({**values, "state": "finished"}))
            case events.StageFailed():
                values = {"stage": event.stage, "seconds": event.seconds, "error": self._free(event.error)}
                self._span_ended(f"stage {event.stage}", event.seconds, _named(values), failed=True)
                self._event("stage", _named({**values, "state": "failed"}))
                self._finish(failed=True)  # a stage that fails is the run's end
            case events.DataLoaded(report):
                dropped = sum(report.dropped.values())
                self._event(
                    "data", _named({"rows": report.sizes, "dropped": dropped, "fingerprint": report.fingerprint})
                )
            case events.TrialFinished(trial):
                self._span_ended(
                    f"trial {trial.number}", trial.seconds, self._trial(trial), failed=trial.state == "failed"
                )
                self._event("trial", self._trial(trial))
            case events.TrialRetried():
                self._event("trial.retried", _named({"trial": event.number, "reason": self._free(event.reason)}))
            case events.BestSelected(trial):
                self._event("selected", {**self._trial(trial), "ftkit.metric": event.metric})
            case events.VerdictReached(verdict):
                values = {"test": verdict.test, "status": verdict.status, "sentence": self._free(verdict.sentence)}
                self._event("verdict", {**_named(values), **_all("number", verdict.numbers)})
            case events.PromotionDecided():
                values = {"promoted": event.promoted, "sentence": self._free(event.sentence)}
                self._event("promotion", _named(values))
            case events.ModelRegistered(version):
                values = {"model": version.model, "version": version.version, "bundle": version.bundle_hash}
                self._event("registered", {**_named(values), **_all("metric", version.metrics)})
            case events.DeploymentChanged():
                values = {"endpoint": event.endpoint, "deployment": event.deployment, "step": event.step}
                self._event("deployment", _named({**values, "detail": self._free(event.detail)}))
            case events.TrafficMoved():
                self._event("traffic", _named({"endpoint": event.endpoint, "shares": dict(event.shares)}))

    def _trial(self, trial: Trial) -> dict[str, Any]:
        outcome = {
            "trial": trial.number,
            "state": trial.state,
            "seconds": trial.seconds,
            "seed": trial.seed,
            "epoch": trial.epoch,
            "attempts": trial.attempts,
            "repeats": trial.repeats,
            "error": self._free(trial.error),
        }
        return {
            **_named(outcome),
            **_all("value", trial.values),
            **_all("metric", trial.metrics),
            **_all("used", trial.resources),
        }

    def _free(self, text: str) -> str:
        """Free text if texts are sent, else an empty one."""
        return text if self._texts else ""

    def _event(self, name: str, attributes: Mapping[str, Any]) -> None:
        self._pipeline.event(f"ftkit.{name}", {"ftkit.run": self._run, **attributes}, self._context)

    def _span_ended(self, name: str, seconds: float, attributes: Mapping[str, Any], *, failed: bool = False) -> None:
        """Send a span of this duration that ends now."""
        now = time.time_ns()
        named = {"ftkit.run": self._run, **attributes}
        span = self._pipeline.begin(name, now - round(seconds * 1e9), named, self._context)
        self._pipeline.end(span, now, failed=failed)

    def _finish(self, attributes: Mapping[str, Any] | None = None, *, failed: bool = False) -> None:
        """End the run's span, if one has started."""
        if self._span is not None:
            self._pipeline.end(self._span, time.time_ns(), attributes, failed=failed)
        self._span = self._context = None


@functools.cache
def telemetry(settings: Settings) -> RunTelemetry | None:
    """The telemetry of this process for these settings, closed when the process ends; None if it cannot be sent."""
    from ftkit import __version__

    try:
        pipeline = Pipeline(settings, {"service.name": "ftkit", "service.version": __version__})
    except PluginError as error:  # logged once, not for every event
        log.warning("no telemetry of the run is sent: %s", error)
        return None
    running = RunTelemetry(pipeline, settings.texts)
    atexit.register(running.close)
    return running


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"ftkit.{name}": value for name, value in attributes.items()}


def _all(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"ftkit.{kind}.{name}": value for name, value in values.items()}
