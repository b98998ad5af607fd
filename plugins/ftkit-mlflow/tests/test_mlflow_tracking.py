"""A run in MLflow: trials as nested runs with values, curves and outcomes."""

from __future__ import annotations

import dataclasses
import json
import urllib.request

import pytest
from ftkit_mlflow import MLflow
from mlflow import MlflowClient

from ftkit.contracts import Trial, Verdict
from ftkit.testing.registries import make_lineage


@pytest.fixture
def lineage(bundle):
    return make_lineage(bundle)


def runs(uri: str, model: str) -> dict[str, object]:
    """The runs of a model's experiment by name."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(model)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_each_trial_is_nested_in_the_run_for_the_whole(shared, model, lineage):
    MLflow(model=model, tracking_uri=shared).track(lineage)
    by_name = runs(shared, model)
    assert set(by_name) == {lineage.run, "trial 000", "trial 001", "trial 002"}
    parent = by_name[lineage.run]
    assert {run.data.tags.get("mlflow.parentRunId") for run in by_name.values()} == {None, parent.info.run_id}
    assert [by_name[f"trial {number:03d}"].info.status for number in range(3)] == ["FINISHED", "KILLED", "FAILED"]
    assert parent.info.status == "FINISHED"


def test_a_trial_has_its_values_seed_best_metrics_and_error(shared, model, lineage):
    MLflow(model=model, tracking_uri=shared).track(lineage)
    by_name = runs(shared, model)
    best, failed = by_name["trial 000"], by_name["trial 002"]
    assert best.data.params == {"learning_rate": "1.0", "sampler": "full", "seed": "7"}
    assert best.data.metrics["best_accuracy"] == pytest.approx(0.8)
    assert best.data.metrics["best_epoch"] == 3
    assert best.data.metrics["resources/memory_peak_mb"] == 120.0
    assert best.info.end_time - best.info.start_time == 1500
    assert best.data.tags["ftkit.best"] == "true"
    assert failed.data.tags["ftkit.state"] == "failed"
    assert failed.data.tags["ftkit.error"] == "killed: out of memory"


def test_a_repeat_names_the_trial_that_it_repeats(shared, model, lineage):
    first = lineage.trials[0]
    repeats = [
        dataclasses.replace(first, number=3 + at, seed=100 + at, repeats=0, metrics={"accuracy": value})
        for at, value in enumerate((0.7, 0.9))
    ]
    confirmed = dataclasses.replace(lineage, trials=[*lineage.trials, *repeats], best=4)
    MLflow(model=model, tracking_uri=shared).track(confirmed)
    by_name = runs(shared, model)
    assert by_name["trial 003"].data.tags["ftkit.repeats"] == "0"
    assert by_name["trial 003"].data.params["seed"] == "100"
    assert "ftkit.repeats" not in by_name["trial 000"].data.tags
    assert by_name["trial 004"].data.tags["ftkit.best"] == "true"
    parent = by_name[lineage.run]
    assert parent.data.metrics["confirmed_accuracy_mean"] == pytest.approx(0.8)
    assert parent.data.metrics["confirmed_accuracy_deviation"] == pytest.approx(0.02**0.5)
    assert parent.data.metrics["confirmed_accuracy_seeds"] == 2
    assert "the mean accuracy of its values over 2 other seeds (0.8000)" in parent.data.tags["mlflow.note.content"]


def test_the_run_has_the_values_that_the_model_was_trained_with(shared, model, lineage, tmp_path):
    (tmp_path / "bundle").mkdir()
    manifest = {"backbone": {"use": "minilm", "epochs": 14, "learning_rate": 0.0001}}
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    recipe = lineage.recipe + '\n[backbone]\nuse = "minilm"\nepochs = "auto"\n'
    MLflow(model=model, tracking_uri=shared).track(dataclasses.replace(lineage, recipe=recipe, folder=tmp_path))
    params = runs(shared, model)[lineage.run].data.params
    assert (params["backbone.epochs"], params["backbone.learning_rate"]) == ("14", "0.0001")


def test_a_metric_has_one_point_for_each_epoch(shared, model, lineage):
    MLflow(model=model, tracking_uri=shared).track(lineage)
    by_name = runs(shared, model)
    history = MlflowClient(shared).get_metric_history(by_name["trial 000"].info.run_id, "accuracy")
    assert [(point.step, round(point.value, 6)) for point in history] == [(1, 0.6), (2, 0.7), (3, 0.8)]
    assert "log_loss" not in by_name["trial 001"].data.metrics, "NaN is not a point of a curve"


def test_the_run_has_the_recipe_the_data_report_and_the_verdicts(shared, model, lineage, tmp_path):
    with_figure = Verdict("calibration", "passed", "it is", figure="<svg/>")
    MLflow(model=model, tracking_uri=shared).track(
        dataclasses.replace(lineage, verdicts=(*lineage.verdicts, with_figure))
    )
    parent = runs(shared, model)[lineage.run]
    assert parent.data.params == {"name": "words", "seed": "7", "dataset.use": "made-up"}
    assert parent.data.metrics["test_accuracy"] == 0.8
    assert parent.data.metrics["best_accuracy"] == pytest.approx(0.8)
    assert parent.data.tags["ftkit.verdict.2.calibration"] == "passed: it is"
    client = MlflowClient(shared)
    folder = tmp_path / "lineage"
    client.download_artifacts(parent.info.run_id, "lineage", str(tmp_path))
    assert (folder / "recipe.toml").read_text() == lineage.recipe
    assert json.loads((folder / "lineage.json").read_text())["data"]["fingerprint"] == lineage.data.fingerprint
    assert (folder / "2-calibration.svg").read_text() == "<svg/>"


def test_tracking_twice_stores_every_run_and_number_once(shared, model, lineage):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.track(lineage)
    before = runs(shared, model)
    registry.track(lineage)
    after = runs(shared, model)
    assert {name: run.to_dictionary() for name, run in after.items()} == {
        name: run.to_dictionary() for name, run in before.items()
    }
    assert len(MlflowClient(shared).get_metric_history(after["trial 000"].info.run_id, "accuracy")) == 3


def test_tracking_after_the_tests_adds_verdicts_and_test_metrics(shared, model, lineage):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.track(dataclasses.replace(lineage, verdicts=(), metrics={}))
    first = runs(shared, model)
    assert "test_accuracy" not in first[lineage.run].data.metrics
    registry.track(lineage)
    second = runs(shared, model)
    assert {run.info.run_id for run in first.values()} == {run.info.run_id for run in second.values()}
    assert second[lineage.run].data.metrics["test_accuracy"] == 0.8
    assert second[lineage.run].data.tags["ftkit.verdict.1.metric-floor"].startswith("passed")


def test_two_runs_of_one_experiment_stay_apart(shared, model, bundle):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.track(make_lineage(bundle, "first"))
    registry.track(make_lineage(bundle, "it's the second"))
    registry.track(make_lineage(bundle, "it's the second"))
    client = MlflowClient(shared)
    experiment = client.get_experiment_by_name(model)
    assert len(client.search_runs([experiment.experiment_id])) == 8


def test_long_histories_odd_names_and_long_values_are_accepted(shared, model, lineage):
    trial = Trial(
        number=0,
        values={"note": "x" * 9000, "läng(e)": [1, 2], "flag": True, "nothing": None},
        seed=1,
        state="finished",
        history=[{"epoch": epoch, "f1:täst (%)": epoch / 10, "loss": float("inf")} for epoch in range(1, 1501)],
        error="y" * 9000,
    )
    MLflow(model=model, tracking_uri=shared).track(dataclasses.replace(lineage, trials=[trial]))
    run = runs(shared, model)["trial 000"]
    assert len(run.data.params["note"]) == 6000
    assert (run.data.params["flag"], run.data.params["nothing"]) == ("true", "null")
    (name,) = [key for key in run.data.metrics if key.startswith("f1")]
    assert len(MlflowClient(shared).get_metric_history(run.info.run_id, name)) == 1500
    assert "loss" not in run.data.metrics


def test_the_server_finds_trials_through_its_own_api(server, model, lineage):
    MLflow(model=model, tracking_uri=server).track(lineage)
    experiment = MlflowClient(server).get_experiment_by_name(model)
    body = {
        "experiment_ids": [experiment.experiment_id],
        "filter": "metrics.best_accuracy > 0.7 AND params.sampler = 'full'",
    }
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/runs/search", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        (run,) = json.load(answer)["runs"]
    assert run["info"]["run_name"] == "trial 000"
