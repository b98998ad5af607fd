"""Tests that every plugin with the hook `on_event` must pass, to inherit.

class TestTelemetry(ObserverSuite):
    @pytest.fixture
    def component(self):
        return ftkit_telemetry          # the module, or any object with a hook `on_event`
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from ftkit import plugins
from ftkit.contracts import Comparison, DataReport, Measures, Spread, Trial, Verdict, Version, events
from ftkit.hookspecs import hookimpl

SECONDS = 5.0
"""Limit for all events of a run: the run waits for its observers."""


class ObserverSuite:
    """Inherit as a class named `Test…` and override the fixture `component`."""

    @pytest.fixture
    def component(self) -> Any:
        """The plugin under test: a module or object with a hook `on_event`."""
        raise NotImplementedError("override the fixture `component`")

    def test_it_is_a_plugin_with_the_hook(self, component: Any) -> None:
        loaded = plugins.collect([], {"observer": component})
        assert not loaded.broken
        assert callable(component.on_event)

    def test_it_accepts_every_event_of_a_run(self, component: Any, caplog: pytest.LogCaptureFixture) -> None:
        loaded = plugins.collect([], {"observer": component})
        with caplog.at_level(logging.ERROR, logger="ftkit"):
            for event in sample_run():
                loaded.tell(event)
        assert [record.getMessage() for record in caplog.records if record.name == "ftkit"] == []

    def test_it_accepts_a_run_that_fails(self, component: Any) -> None:
        for event in (*sample_run()[:4], events.StageFailed("search", 1.0, "no trial finished")):
            component.on_event(event=event)

    def test_it_accepts_events_in_any_order(self, component: Any) -> None:
        for event in reversed(sample_run()):
            component.on_event(event=event)

    def test_it_ignores_unknown_events(self, component: Any) -> None:
        class Invented(events.Event):
            """A later version's event."""

        component.on_event(event=Invented())

    def test_it_does_not_write_to_standard_output(self, component: Any, capfd: pytest.CaptureFixture[str]) -> None:
        for event in sample_run():
            component.on_event(event=event)
        assert capfd.readouterr().out == "", "standard output belongs to the command, whose reader may be a program"

    def test_it_takes_limited_time_for_a_run(self, component: Any) -> None:
        begun = time.monotonic()
        for event in sample_run():
            component.on_event(event=event)
        assert time.monotonic() - begun < SECONDS

    def test_it_gets_every_event_when_other_observers_raise(
        self, component: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Failing:
            """An observer that raises on every event."""

            @hookimpl
            def on_event(self, event: events.Event) -> None:
                raise RuntimeError("out of order")

        class Counter:
            """Passes events to the plugin under test and stores them."""

            def __init__(self) -> None:
                self.seen: list[events.Event] = []

            @hookimpl
            def on_event(self, event: events.Event) -> None:
                component.on_event(event=event)
                self.seen.append(event)

        counter = Counter()
        loaded = plugins.collect([], {"first": Failing(), "counted": counter, "last": Failing()})
        monkeypatch.setattr(logging.getLogger("ftkit"), "disabled", True)
        for event in sample_run():
            loaded.tell(event)
        assert counter.seen == sample_run()


def sample_run() -> list[events.Event]:
    """The events of a small run, of every kind at least one."""
    report = DataReport(
        source="reviews.csv",
        rows_read=110,
        dropped={"empty text": 4, "duplicate": 6},
        counts={name: {"negative": count, "positive": count} for name, count in _COUNTS.items()},
        lengths={"p5": 3, "p50": 12, "p95": 80, "max": 212},
        fingerprint="0f" * 32,
        damaged_lines=(17,),
        notes=("One text is very long.",),
    )
    history = ({"epoch": 1.0, "macro_f1": 0.81}, {"epoch": 2.0, "macro_f1": 0.84})
    best = Trial(
        0, {"learning_rate": 3e-5}, 7, "finished", history, {"macro_f1": 0.84}, 2, 12.5, folder="trials/000",
        resources={"cpu_percent": 190.0, "memory_peak_mb": 850.0},
    )  # fmt: skip
    failed = Trial(1, {"learning_rate": 5e-5}, 8, "failed", seconds=3.0, attempts=2, error="out of memory")
    repeat = Trial(2, best.values, 4711, "finished", history[:1], {"macro_f1": 0.81}, 1, 6.0, repeats=0)
    spread = Spread(0, best.values, searched=0.84, mean=0.81, deviation=None, low=0.81, high=0.81, finished=1)
    return [
        events.RunStarted("sample-20250101-120000", str(Path("runs") / "sample"), "sample.toml", False),
        events.StageStarted("data"),
        events.Progressed("reading reviews.csv", 50, 110),
        events.DataLoaded(report),
        events.StageFinished("data", 1.5),
        events.StageStarted("search"),
        events.SearchStarted(2, 0, "macro_f1", 2),
        events.TrialStarted(0, best.values, 7, 1, 4001, "trials/000/trial.log"),
        events.TrialStarted(1, failed.values, 8, 1, 4002, "trials/001/trial.log"),
        events.TrialReported(0, history[0]),
        events.TrialSampled(0, 187.0, 812.5),
        events.TrialRetried(1, "the process was killed: out of memory"),
        events.TrialReported(0, history[1]),
        events.TrialFinished(failed),
        events.TrialFinished(best),
        events.ConfirmationStarted((0,), 1, 1, 0),
        events.BudgetSpent("max_minutes", 60.2, 60.0),
        events.TrialStarted(2, best.values, 4711, 1, 4003, "trials/002/trial.log", 0),
        events.TrialReported(2, history[0]),
        events.TrialFinished(repeat),
        events.StageFinished("search", 20.0),
        events.BestSelected(best, "macro_f1", (spread,)),
        events.StageStarted("test"),
        events.VerdictReached(Verdict("metric-floor", "passed", "macro F1 0.8300 meets the floor of 0.8000")),
        events.StageFinished("test", 2.0),
        events.PromotionDecided(True, "Promoted: 1 of 1 tests passed, none failed."),
        events.ModelRegistered(Version("reviews", "3", ("challenger",))),
        events.StageStarted("deploy"),
        events.Noticed("The endpoint answers on this machine only.", warning=True),
        events.DeploymentChanged("reviews", "v3", "became ready", "after 2.1 s"),
        events.CopiesCompared("reviews", "v3", Comparison(texts=40, flipped=2, shift=0.03, largest=0.4)),
        events.TrafficMeasured(
            "reviews", {"v2": Measures(requests=90), "v3": Measures(requests=10, errors={"500": 1})}
        ),
        events.DeploymentJudged("reviews", "v3", "inconclusive", "10 requests are too few to tell", {"requests": 10}),
        events.StageFailed("deploy", 3.0, "the smoke test got no answer"),
        events.TrafficMoved("reviews", {"v3": 100}),
        events.ReportWritten("/runs/sample-20250101-120000/report.html"),
        events.RunFinished("sample-20250101-120000", True, 0, 25.0),
    ]


_COUNTS = {"train": 40, "valid": 5, "test": 5}
