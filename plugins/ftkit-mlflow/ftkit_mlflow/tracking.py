"""Writes a run of ftkit to MLflow: one MLflow run for the whole, and a nested one for each trial.

Every MLflow run is looked up by its tags before it is created, and every number has the time stamp of its run's start. So
writing twice, or again after a crash, leaves one copy of each run and each number.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ftkit.contracts import Lineage, Trial, Verdict
from ftkit.disclosure import without_secrets
from ftkit.errors import RegistryError
from ftkit.evaluation.selection import spreads
from ftkit.redaction import redacted
from ftkit_mlflow import addresses, connection

_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

# Source: MLflow, "REST API", limits of the request `runs/log-batch`.
_PARAMS, _METRICS, _LENGTH, _TAG = 100, 1000, 6000, 5000


def experiment(client: Any, name: str, artifacts: str | None, uri: str) -> str:
    """The identifier of an experiment, which is created if needed. Raises: RegistryError for a deleted one."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        place = f"{artifacts.rstrip('/')}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}" if artifacts else None
        connection.unless_present(lambda: client.create_experiment(name, artifact_location=place))
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        raise RegistryError(
            f"the experiment {name!r} was deleted",
            where=addresses.shown(uri),
            hint=f"MLFLOW_TRACKING_URI={addresses.shown(uri)} mlflow experiments restore -x {experiment.experiment_id}, "
            "or give `experiment` another name.",
        )
    return str(experiment.experiment_id)


def record(client: Any, experiment_id: str, lineage: Lineage) -> str:
    """Write what MLflow does not have yet; returns the identifier of the MLflow run for the whole."""
    parent = _parent(client, experiment_id, lineage)
    run = parent.info.run_id
    children = _children(client, experiment_id, run)
    for trial in lineage.trials:
        child = children.get(str(trial.number))
        if child is None or child.info.status == "RUNNING":
            _write_trial(client, experiment_id, run, lineage, trial, child)
    digest = hashlib.sha256(json.dumps(as_json(lineage), sort_keys=True).encode()).hexdigest()
    if parent.data.tags.get("ftkit.lineage") != digest:
        _write_run(client, parent, lineage, digest)
    return str(run)


def as_json(lineage: Lineage) -> dict[str, Any]:
    """A lineage as JSON, without the folder and the figures."""
    values = asdict(lineage)
    del values["folder"]
    for verdict in values["verdicts"]:
        del verdict["figure"]
    table: dict[str, Any] = _plain(values)
    return table


def verdict_tags(lineage: Lineage) -> dict[str, str]:
    """A tag for each verdict, in their order."""
    return {
        _key(f"ftkit.verdict.{number}.{verdict.test}"): _shortened(f"{verdict.status}: {verdict.sentence}")
        for number, verdict in enumerate(lineage.verdicts, 1)
    }


def description(lineage: Lineage) -> str:
    """The description of a run and of its version on MLflow's pages."""
    scores = ", ".join(f"{key} {value:.4f}" for key, value in finite(lineage.metrics).items())
    lines = [
        f"Trial {lineage.best} of ftkit run {lineage.run}, chosen by {_criterion(lineage)} on the validation split.",
        f"Test split: {scores}." if scores else "",
        *(f"- {verdict.test} {verdict.status}: {verdict.sentence}" for verdict in lineage.verdicts),
    ]
    return _shortened("\n\n".join(line for line in lines if line))


def _criterion(lineage: Lineage) -> str:
    for spread in spreads(lineage.trials, lineage.metric)[:1]:
        if spread.mean is not None:
            return f"the mean {lineage.metric} of its values over {spread.finished} other seeds ({spread.mean:.4f})"
    return lineage.metric


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Numbers that JSON and databases can hold."""
    return {key: float(value) for key, value in numbers.items() if _is_number(value)}


def _parent(client: Any, experiment_id: str, lineage: Lineage) -> Any:
    query = f"tags.`ftkit.run` = {_quoted(lineage.run)} AND tags.`ftkit.part` = 'run'"
    runs = connection.pages(client.search_runs, experiment_ids=[experiment_id], filter_string=query)
    if runs:
        return runs[0]
    return client.create_run(
        experiment_id,
        start_time=_now() - int(1000 * max((trial.seconds for trial in lineage.trials), default=0)),
        run_name=lineage.run,
        tags={"ftkit.run": lineage.run, "ftkit.part": "run", "mlflow.source.name": "ftkit"},
    )


def _children(client: Any, experiment_id: str, parent: str) -> dict[str, Any]:
    """The MLflow runs of trials that exist so far, by the trial's number."""
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    runs = connection.pages(client.search_runs, experiment_ids=[experiment_id], filter_string=query)
    return {run.data.tags["ftkit.trial"]: run for run in runs if "ftkit.trial" in run.data.tags}


def _write_trial(client: Any, experiment_id: str, parent: str, lineage: Lineage, trial: Trial, unfinished: Any) -> None:
    """Write a trial; `unfinished` is its MLflow run if a crash left one. The run ends last, so an ended run is complete."""
    milliseconds = int(1000 * trial.seconds)
    child = unfinished or client.create_run(
        experiment_id,
        start_time=_now() - milliseconds,
        run_name=f"trial {trial.number:03d}",
        tags={
            "mlflow.parentRunId": parent,
            "mlflow.source.name": "ftkit",
            "ftkit.run": lineage.run,
            "ftkit.part": "trial",
            "ftkit.trial": str(trial.number),
        },
    )
    run, begun = child.info.run_id, child.info.start_time
    curves = [
        (key, value, int(row.get("epoch", step)))
        for step, row in enumerate(trial.history, 1)
        for key, value in row.items()
        if key != "epoch"
    ]
    totals = {f"best_{key}": value for key, value in trial.metrics.items()}
    totals |= {f"resources/{key}": value for key, value in trial.resources.items()} | {"seconds": trial.seconds}
    if trial.epoch:
        totals["best_epoch"] = trial.epoch
    tags = {"ftkit.state": trial.state, "ftkit.attempts": str(trial.attempts)}
    if trial.error:
        tags["ftkit.error"] = _shortened(trial.error)
    if trial.repeats is not None:
        tags["ftkit.repeats"] = str(trial.repeats)
    if trial.number == lineage.best:
        tags["ftkit.best"] = "true"
    _log(
        client,
        run,
        begun,
        curves + [(key, value, 0) for key, value in totals.items()],
        {**trial.values, "seed": trial.seed},
        tags,
    )
    client.set_terminated(run, status=_STATUS[trial.state], end_time=begun + milliseconds)


def _write_run(client: Any, parent: Any, lineage: Lineage, digest: str) -> None:
    """Write the run as a whole; the digest of its lineage comes last, so a run that has it is complete."""
    run = parent.info.run_id
    best = next((trial for trial in lineage.trials if trial.number == lineage.best), None)
    numbers = {f"best_{key}": value for key, value in (best.metrics if best else {}).items()}
    numbers |= {f"test_{key}": value for key, value in lineage.metrics.items()}
    for spread in spreads(lineage.trials, lineage.metric)[:1]:
        confirmed = {"mean": spread.mean, "deviation": spread.deviation, "seeds": spread.finished}
        numbers |= {f"confirmed_{lineage.metric}_{key}": value for key, value in confirmed.items() if value is not None}
    tags = {
        "mlflow.note.content": description(lineage),
        "ftkit.data": lineage.data.fingerprint,
        "ftkit.bundle": lineage.bundle_hash,
        "ftkit.best_trial": str(lineage.best),
        **verdict_tags(lineage),
    }
    logged = parent.data.params
    values = _recipe_values(lineage.recipe) | _trained_values(lineage)
    params = {key: value for key, value in values.items() if key not in logged}
    _log(client, run, parent.info.start_time, [(key, value, 0) for key, value in numbers.items()], params, tags)
    client.log_text(run, lineage.recipe, "lineage/recipe.toml")
    client.log_dict(run, as_json(lineage), "lineage/lineage.json")
    for number, verdict in enumerate(lineage.verdicts, 1):
        if verdict.figure:
            client.log_text(run, verdict.figure, f"lineage/{_figure(number, verdict)}")
    if parent.info.status == "RUNNING":
        client.set_terminated(run, status="FINISHED")
    client.set_tag(run, "ftkit.lineage", digest)


def _log(
    client: Any,
    run: str,
    begun: int,
    numbers: Sequence[tuple[str, Any, int]],
    params: Mapping[str, Any],
    tags: Mapping[str, str],
) -> None:
    """Log with as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(_key(key), float(value), begun, step) for key, value, step in numbers if _is_number(value)]
    parameters = [Param(_key(key), _text(value)) for key, value in params.items()]
    client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()])
    for part in _parts(parameters, _PARAMS):
        client.log_batch(run, params=part)
    for part in _parts(metrics, _METRICS):
        client.log_batch(run, metrics=part)


def _parts(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _recipe_values(text: str) -> dict[str, Any]:
    """The recipe's values by dotted key, as `--set` names them; empty for a text that is not TOML."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    flat: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{key}.{name}" if key else name)
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            for number, inner in enumerate(value, 1):
                walk(inner, f"{key}.{number}")
        else:
            flat[key] = value

    walk(table, "")
    return flat


def _trained_values(lineage: Lineage) -> dict[str, Any]:
    """The options of the backbone that the model was trained with: searched, and left to the data, as numbers."""
    manifest = lineage.folder / "bundle" / "manifest.json" if lineage.folder else None
    if manifest is None or not manifest.is_file():
        return {}
    options = json.loads(manifest.read_text(encoding="utf-8"))["backbone"]
    return {f"backbone.{name}": value for name, value in without_secrets(options).items()}


def _figure(number: int, verdict: Verdict) -> str:
    return f"{number}-{re.sub(r'[^A-Za-z0-9_.-]', '_', verdict.test)}.svg"


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LENGTH else f"{redacted(text)[: _LENGTH - 1]}…"


def _shortened(text: str) -> str:
    """A text of the length that MLflow accepts for a tag; redacted before it is cut."""
    return redacted(text)[:_TAG]


def _key(name: str) -> str:
    """A name that MLflow accepts for a metric, parameter or tag."""
    return re.sub(r"[^\w./ -]", "_", name)[:250]


def _quoted(value: str) -> str:
    """A quoted value for a search: MLflow has two kinds of quotes and no escape for them."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _now() -> int:
    return int(time.time() * 1000)
