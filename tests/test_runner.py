"""A run from data to live traffic: promoted or not, failed, killed and continued."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ftkit
from ftkit import runner
from ftkit.bundle import bundle
from ftkit.contracts import Data, Outcome, Verdict
from ftkit.errors import DataError, ExitCode, LedgerError, StageError
from ftkit.events import (
    DeploymentChanged,
    Event,
    Noticed,
    PromotionDecided,
    StageFinished,
    TrafficMoved,
    TrialFinished,
)
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.testing import toys
from tests import recipes

RECIPE = toys.RECIPE + recipes.JUDGED


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    with recipes.written(tmp_path, RECIPE) as path:
        yield path


def run(path: Path, overrides: dict[str, Any] | None = None, **options: Any) -> tuple[Outcome, list[Event]]:
    emitted: list[Event] = []
    return ftkit.run(path, overrides, emit=emitted.append, **options), emitted


def test_a_first_run_goes_live_and_a_second_must_beat_its_champion(toy: Path) -> None:
    first, emitted = run(toy)
    assert (first.promoted, first.exit_code) == (True, ExitCode.OK)
    assert [verdict.status for verdict in first.verdicts] == ["passed", "not applicable"]
    assert "no champion yet" in first.verdicts[1].sentence.lower()
    assert first.version is not None
    assert first.version.aliases == ("champion",)
    assert first.endpoint is not None
    assert first.endpoint.traffic == {first.deployment: 100}
    request = bundle.verify(first.bundle).sample_request
    assert set(loader.load(toy).deploy.invoke(request)) <= {"bad", "good"}
    stages = [event.stage for event in emitted if isinstance(event, StageFinished)]
    assert stages == ["data", "search", "select", "test", "register", "deploy"]

    second, emitted = run(toy)
    assert second.run != first.run
    assert (second.promoted, second.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert second.champion is not None
    assert second.champion.bundle_hash == first.version.bundle_hash
    assert second.endpoint is not None
    assert second.endpoint.traffic == {first.deployment: 100}, "the champion keeps its traffic"
    assert ledger.find(second.run).finished, "the run is kept"
    assert second.bundle.is_dir()
    assert not any(isinstance(event, TrafficMoved) for event in emitted)

    better, _ = run(toy, {"backbone.epochs": 12, "search.space.learning_rate": [3.0, 10.0], "dataset.rows": 400})
    assert better.promoted, [verdict.sentence for verdict in better.verdicts]
    assert better.endpoint is not None
    assert better.endpoint.traffic == {better.deployment: 100}
    assert len(better.endpoint.deployments) == 1, "the old deployment is retired"


def test_a_defended_champion_goes_live_again_if_its_endpoint_is_gone(toy: Path) -> None:
    first, _ = run(toy)
    deployer = loader.load(toy).deploy
    deployer.stop()
    second, emitted = run(toy)
    assert not second.promoted
    assert second.endpoint is not None
    assert second.endpoint.traffic == {second.deployment: 100}
    assert second.endpoint.deployments[0].bundle_hash == bundle.verify(first.bundle).hash
    assert any(isinstance(event, Noticed) and "goes live" in event.text for event in emitted)
    assert deployer.invoke({"data": [{"text": "sturdy"}]})


def test_a_recipe_without_promotion_tests_promotes_and_says_so(toy: Path) -> None:
    outcome, emitted = run(toy, {"promote": [], "deploy.use": "none", "registry.use": "none"})
    assert outcome.promoted
    assert [verdict.status for verdict in outcome.verdicts] == ["not applicable"]
    assert "No tests asked for" in outcome.verdicts[0].sentence
    assert any(isinstance(event, PromotionDecided) and event.promoted for event in emitted)
    assert (outcome.version, outcome.endpoint) == (None, None)


def test_the_winner_is_the_trial_best_on_validation_and_the_bundle_is_its_model(toy: Path) -> None:
    space = {"search.trials": 3, "search.space.learning_rate": [0.001, 1.0, 5.0], "search.sampler": "grid"}
    outcome, _ = run(toy, {**space, "promote": [], "deploy.use": "none", "registry.use": "none"})
    assert outcome.best.metrics["roc_auc"] == max(trial.metrics["roc_auc"] for trial in outcome.trials)
    manifest = bundle.verify(outcome.bundle).manifest
    assert manifest["trial"]["values"] == outcome.best.values
    assert manifest["backbone"]["learning_rate"] == outcome.best.values["learning_rate"]
    assert loader.loads(bundle.verify(outcome.bundle).recipe).search.space
    assert not list(outcome.folder.glob("trials/*/model")), "losers' weights are not kept"


def test_a_bundle_loaded_from_disk_predicts_label_names(toy: Path) -> None:
    outcome, _ = run(toy, {"promote": [], "deploy.use": "none", "registry.use": "none", "backbone.epochs": 8})
    loaded = ftkit.load(outcome.bundle)
    assert loaded.predict(["sturdy bright perfect quiet happy", "broke cheap refund useless"]) == ["good", "bad"]
    assert loaded.predict("sturdy perfect happy") == ["good"]
    assert loaded.predict([]) == []


def test_a_run_whose_rollout_failed_continues_with_the_changed_settings(toy: Path) -> None:
    with pytest.raises(StageError):
        run(toy, {"rollout.ready_timeout": 0.001})
    (failed,) = ledger.runs()
    assert not failed.finished
    assert "not ready after" in failed.failure
    assert failed.fact("registered")
    outcome, emitted = run(toy)
    assert outcome.run == failed.run, "only settings after training were changed"
    assert (outcome.promoted, outcome.endpoint.traffic) == (True, {outcome.deployment: 100})
    assert not any(isinstance(event, TrialFinished) for event in emitted), "nothing is trained again"
    assert "ready_timeout" not in (outcome.folder / "recipe.toml").read_text()


def test_a_test_that_breaks_off_gives_the_verdict_error_and_is_run_again_once_it_is_fixed(
    toy: Path, monkeypatch: Any
) -> None:
    from ftkit.evaluation.promotion_tests import MetricFloor

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("no rows")

    with monkeypatch.context() as patched:
        patched.setattr(MetricFloor, "check", broken)
        outcome, emitted = run(toy, {"deploy.use": "none"})
    assert (outcome.promoted, outcome.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert [verdict.status for verdict in outcome.verdicts] == ["error", "not applicable"], "the others still run"
    assert "ZeroDivisionError: no rows" in outcome.verdicts[0].sentence
    assert "in broken" in (outcome.folder / "tests.log").read_text()
    assert loader.load(toy).registry.versions() == []
    assert "metric-floor gave no verdict" in ledger.find(outcome.run).failure
    again, emitted = run(toy, {"deploy.use": "none"})
    assert (again.run, again.promoted) == (outcome.run, True)
    assert not any(isinstance(event, TrialFinished) for event in emitted), "nothing is trained again"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        Verdict("x", "fine", ""),  # type: ignore[arg-type]
        Verdict("x", "passed", "", {"share": "much"}),  # type: ignore[dict-item]
        Verdict("x", "passed", "", None),  # type: ignore[arg-type]
    ],
)
def test_a_test_that_returns_no_valid_verdict_gives_the_verdict_error(toy: Path, monkeypatch: Any, answer: Any) -> None:
    from ftkit.evaluation.promotion_tests import MetricFloor

    monkeypatch.setattr(MetricFloor, "check", lambda *_: answer)
    outcome, _ = run(toy, {"deploy.use": "none", "registry.use": "none"})
    assert (outcome.promoted, outcome.verdicts[0].status) == (False, "error")


def test_numpy_numbers_become_floats_and_a_test_that_exits_does_not_end_the_run(toy: Path, monkeypatch: Any) -> None:
    from ftkit.evaluation.promotion_tests import BeatsChampion, MetricFloor

    numbers: Any = {"share": np.float32(0.5), "rows": np.int64(3), "met": np.bool_(True)}
    monkeypatch.setattr(MetricFloor, "check", lambda *_: Verdict("metric-floor", "passed", "good", numbers))
    monkeypatch.setattr(BeatsChampion, "check", lambda *_: sys.exit("no champion"))
    outcome, _ = run(toy, {"deploy.use": "none"})
    first, second = outcome.verdicts
    assert (first.numbers["share"], first.numbers["rows"], first.numbers["met"]) == (0.5, 3.0, 1.0)
    assert (second.status, outcome.promoted) == ("error", False)
    assert "SystemExit: no champion" in second.sentence
    assert (outcome.folder / "report.html").is_file()


def test_a_test_that_foresees_that_it_cannot_judge_ends_the_run_before_training(toy: Path) -> None:
    from ftkit.evaluation.promotion_tests import MetricFloor

    class Wary(MetricFloor):
        def foresee(self, data: Data) -> None:
            assert data.train.texts
            assert not data.test.texts, "the test split is closed"
            raise DataError("there is no column 'country'", where="metric-floor", hint="The columns are: none.")

    plan = replace(loader.load(toy, {"deploy.use": "none", "registry.use": "none"}), promote=(Wary(floor=0.6),))
    with pytest.raises(DataError, match="no column 'country'"):
        runner.run(plan, lambda _: None)
    (run_ledger,) = ledger.runs()
    assert not run_ledger.trials()


@pytest.mark.parametrize("moment", ["trial", "selected", "tested", "deployed"])
def test_a_killed_run_continues_to_the_same_winner(toy: Path, moment: str) -> None:
    """Kill -9 right after a fact is in the journal, give the command again, and compare with an unbroken run."""
    overrides = ["search.trials=3", "search.space.learning_rate=[0.1, 1.0, 5.0]", "backbone.delay=0.05"]
    command = [sys.executable, "-m", "ftkit", "run", str(toy), "--plain"]
    for each in overrides:
        command += ["--set", each]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=dict(os.environ)
    )
    journal = _journal_with(moment, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("}")]
    outcome, _ = run(toy, {each.partition("=")[0]: _value(each) for each in overrides})
    assert outcome.folder == journal.parent, "the same run is continued"
    assert outcome.promoted
    facts = [json.loads(line) for line in journal.read_text().splitlines() if line.startswith("{")]
    numbers = [fact["trial"]["number"] for fact in facts if fact["fact"] == "trial"]
    assert sorted(numbers) == [0, 1, 2], "no trial is missing and none is run twice"
    assert facts[: len(before)] == before
    unbroken, _ = run(toy, {**{each.partition("=")[0]: _value(each) for each in overrides}, "promote": []}, fresh=True)
    assert unbroken.best.values == outcome.best.values
    assert unbroken.best.metrics == outcome.best.metrics
    assert outcome.version is not None
    assert len([each for each in loader.load(toy).registry.versions() if each.run == outcome.run]) == 1


def _value(override: str) -> Any:
    from ftkit.recipe.document import parse

    return parse(override.partition("=")[2])


def _journal_with(fact: str, process: subprocess.Popen[bytes]) -> Path:
    """The run's journal as soon as it holds a fact."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for run_ledger in ledger.runs():
            if run_ledger.fact(fact):
                return run_ledger.folder / "journal.jsonl"
        if process.poll() is not None:
            output = process.stdout.read().decode() if process.stdout else ""
            if any(run_ledger.fact(fact) for run_ledger in ledger.runs()):
                continue
            pytest.fail(f"the run ended before {fact}: {output}")
        time.sleep(0.01)
    raise AssertionError(f"no {fact} within two minutes")


def test_a_second_run_of_one_plan_at_the_same_time_is_refused(toy: Path) -> None:
    plan = loader.load(toy)
    run_ledger, _ = ledger.begin(plan.name, plan.text)
    with run_ledger.held(), pytest.raises(LedgerError, match=r"carried out by another process(.|\n)*--fresh"):
        run(toy)


def test_fresh_starts_anew_beside_an_unfinished_run(toy: Path) -> None:
    quiet = {"promote": [], "deploy.use": "none", "registry.use": "none"}
    plan = loader.load(toy, quiet)
    unfinished, _ = ledger.begin(plan.name, plan.text)
    outcome, _ = run(toy, quiet, fresh=True)
    assert outcome.run != unfinished.run


def test_an_unreachable_registry_ends_the_run_before_the_search(toy: Path) -> None:
    with pytest.raises(StageError) as caught:
        run(toy, {"registry.tracking_uri": "http://127.0.0.1:9", "search.trials": 1})
    assert "127.0.0.1:9" in str(caught.value)
    assert not [fact for run_ledger in ledger.runs() for fact in run_ledger.facts("trial")]


def test_training_never_sees_the_test_split(toy: Path) -> None:
    """The toy backbone asserts it; the journal shows that the gate was the first to open it."""
    outcome, _ = run(toy, {"deploy.use": "none", "registry.use": "none"})
    assert all(trial.state == "finished" for trial in outcome.trials)
    assert not ledger.find(outcome.run).data(("train", "valid")).test.texts


def test_data_that_cannot_be_split_end_the_run_with_an_error(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("text,label\n" + "".join(f"word {n},same\n" for n in range(50)))
    with pytest.raises(DataError, match="class"):
        run(toy, {"dataset": {"use": "table", "path": tmp_path / "one.csv"}})


def test_an_observer_that_fails_is_logged_and_does_not_stop_the_run(toy: Path, caplog: Any) -> None:
    from ftkit import hookimpl, plugins

    observed: list[str] = []

    class Observer:
        @hookimpl
        def on_event(self, event: Event) -> None:
            observed.append(type(event).__name__)
            raise RuntimeError("the telemetry is down")

    installed = plugins.load()
    installed._manager.register(Observer(), name="observer")
    outcome, _ = run(toy, {"deploy.use": "none", "registry.use": "none"})
    assert outcome.promoted
    assert {"RunStarted", "TrialFinished", "RunFinished"} <= set(observed)
    assert "the observer of observer failed" in caplog.text


def test_a_champion_with_other_classes_is_compared_by_class_name_with_a_warning(toy: Path, tmp_path: Path) -> None:
    run(toy, {"deploy.use": "none"})
    rows = "".join(
        f"{'lamp sturdy' if n % 2 else 'sofa broke'} {n},{'good' if n % 2 else 'awful'}\n" for n in range(200)
    )
    (tmp_path / "other.csv").write_text("text,label\n" + rows)
    outcome, emitted = run(toy, {"dataset": {"use": "table", "path": tmp_path / "other.csv"}, "deploy.use": "none"})
    warnings = [event.text for event in emitted if isinstance(event, Noticed) and event.warning]
    assert any("awful" in text for text in warnings)
    assert outcome.champion is not None


def test_the_rollout_emits_its_steps(toy: Path) -> None:
    _, emitted = run(toy)
    steps = [event.step for event in emitted if isinstance(event, DeploymentChanged)]
    assert steps[0] == "created"
    with contextlib.suppress(StopIteration):
        assert next(event for event in emitted if isinstance(event, TrafficMoved)).shares
