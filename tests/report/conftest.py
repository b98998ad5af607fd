"""Runs to report on, with real data, real models and a real journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.bundle import bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts import Data, Measures, Split, Trial, Verdict, events
from ftkit.contracts.measures import Window
from ftkit.evaluation import metrics
from ftkit.runs import decision, ledger
from ftkit.runs.ledger import Ledger
from ftkit.stages import rollout_facts
from ftkit.testing.toys import ToyReviews, ToyWords

RECIPE = """\
name = "toy"
seed = 7

[search]
metric = "macro_f1"
trials = 3
"""

Make = Callable[..., Ledger]

VERDICTS = (
    {"test": "metric-floor", "status": "passed", "sentence": "macro F1 0.8 meets the floor", "numbers": {"value": 0.8}},
    {"test": "beats-champion", "status": "failed", "sentence": "not better", "numbers": {"difference": -0.01}},
    {"test": "broken", "status": "error", "sentence": "it broke off: ValueError: no rows", "numbers": {}},
    {"test": "agreement", "status": "not applicable", "sentence": "nothing to compare", "numbers": {}},
)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes runs in the home folder of this test."""
    return maker(tmp_path)


def maker(folder: Path) -> Make:
    """A function that makes runs; `upto` is the last thing that happened in one."""

    def make_run(
        upto: str = "finished",
        *,
        recipe: str = RECIPE,
        data: Data | None = None,
        trials: Sequence[Trial] | None = None,
        verdicts: Sequence[dict[str, Any]] = VERDICTS,
        champion: bool = True,
        weaker: float = 0.05,
    ) -> Ledger:
        book, _ = ledger.begin("toy", recipe, fresh=True)
        data = data or ToyReviews().load(7, lambda _: None)
        book.append("environment", python="3.11.0", cores=2, memory_mb=24000, versions={"ftkit": "0.1.0"}, gpus=[])
        book.store_data(data)
        book.append("stage", stage="data", seconds=0.5)
        if upto == "data":
            return book
        for trial in trials if trials is not None else make_trials():
            book.append("trial-started", number=trial.number, values=dict(trial.values), seed=trial.seed)
            book.record_trial(trial)
        if upto == "trials":
            return book
        if upto == "failed":
            book.append("failed", error="the disk is full")
            return book
        book.append("stage", stage="search", seconds=12.0)
        candidate = fitted(data, 2.0)
        written = bundle.write(
            book.folder / "bundle",
            model=saved(candidate, folder / f"model-{book.run}"),
            classes=data.classes,
            backbone={"use": "toy-words"},
            recipe=recipe,
            card="# toy\n",
            sample_texts=[data.valid.texts[0]],
            about={"run": book.run},
        )
        book.append("selected", number=0, bundle=written.hash)
        if upto == "selected":
            return book
        texts = [
            text.encode("utf-8", "replace").decode() for text in data.test.texts
        ]  # the toy cannot encode surrogates
        predictions = {"candidate": candidate.probabilities(texts)}
        if champion:
            predictions["champion"] = fitted(data, weaker).probabilities(texts)
        book.store_predictions(predictions)
        record = PromotionRecord(
            bundle=written.hash,
            run=book.run,
            recipe="",
            tests=[],
            data=data.report.fingerprint,
            rows=len(data.test),
            verdicts=tuple(Verdict(**verdict) for verdict in verdicts),
            metrics=metrics.scores(predictions["candidate"], np.asarray(data.test.labels)),
            champion={"model": "reviews", "version": "3", "bundle": "c0" * 32} if champion else None,
            promoted=False,
            sentence="Not promoted: beats-champion failed; broken gave no verdict.",
            by="someone",
            at="2026-01-02T03:04:00.000+00:00",
            ftkit="0.1.0",
        )
        decision.write(book, record)
        if upto == "tested":
            return book
        book.append("finished", promoted=False, exit_code=5)
        return book

    return make_run


def rolled_out(
    book: Ledger, shares: Sequence[int], *, good: bool = True, name: str = "v4", begins: float | None = None
) -> None:
    """Write down a rollout that went through these shares, as a run does; a bad one is rolled back in the last."""
    tell = rollout_facts.written_down(book, lambda _: None)
    begins = time.time() - 60 if begins is None else begins

    def measured(share: int, failed: int) -> Measures:
        windows = [Window(begins + at, share, share * 0.004, failed) for at in range(20)]
        return Measures(
            20 * (share + failed), {"500": 20 * failed} if failed else {}, {"mean": 0.004, "p95": 0.012}, windows
        )

    tell(events.DeploymentChanged("live", name, "created"))
    tell(events.DeploymentChanged("live", name, "became ready", "after 1.0 s"))
    for share in shares:
        if share:
            tell(events.TrafficMoved("live", {"v3": 100 - share, name: share} if share < 100 else {name: 100}))
        else:
            tell(events.DeploymentChanged("live", name, "gets copies", "of 20 % of the traffic"))
        bad = not good and share == shares[-1]
        state: Any = "unhealthy" if bad else "healthy"
        tell(
            events.DeploymentJudged("live", name, state, "it fails 50.0 % of its requests" if bad else "no more errors")
        )
        both = {"v3": measured(100 - share, 0), name: measured(max(share, 1), share if bad else 0)}
        tell(events.TrafficMeasured("live", both))
    if good:
        book.append("deployed", endpoint="live", deployment=name)
        tell(events.DeploymentChanged("live", "v3", "retired"))
    else:
        tell(events.TrafficMoved("live", {"v3": 100}))
        tell(events.DeploymentChanged("live", name, "removed", "the rollout did not succeed"))
        book.append("failed", error="the new deployment is not healthy: it fails 50.0 % of its requests")


def fitted(data: Data, learning_rate: float) -> Any:
    return ToyWords(learning_rate=learning_rate).fit(data.without_test(), 7, lambda *_, **__: True)


def saved(classifier: Any, folder: Path) -> Path:
    folder.mkdir()
    classifier.save(folder)
    return folder


def make_trials(count: int = 3, **more: Any) -> list[Trial]:
    """Trials with learning curves: the first is the best, and every third was stopped."""
    trials = []
    for number in range(count):
        state = "stopped" if number % 3 == 2 else "finished"
        epochs = 2 if state == "stopped" else 4
        curve = [0.9 - 0.4 / epoch - 0.3 * number / count for epoch in range(1, epochs + 1)]
        history = [{"epoch": epoch, "macro_f1": value} for epoch, value in enumerate(curve, 1)]
        values = {"learning_rate": 10.0 ** -(number % 5), "decay": 0.01 * (number % 2), "kind": "ab"[number % 2]}
        trials.append(
            Trial(
                number,
                values,
                7,
                state,  # type: ignore[arg-type]
                history,
                {"macro_f1": curve[-1], "accuracy": curve[-1]},
                epochs,
                10.0 + number,
                resources={"memory_peak_mb": 120.0},
                folder=f"trials/{number:03d}",
            )
        )
    return [replace(each, **more) for each in trials] if more else trials


def with_texts(data: Data, texts: Sequence[str]) -> Data:
    """The same data with these texts as the first of its test rows."""
    test = data.test
    return replace(data, test=Split((*texts, *test.texts[len(texts) :]), test.labels, test.columns))
