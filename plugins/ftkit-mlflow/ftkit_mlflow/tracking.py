"""A run of ftkit as MLflow shows it: one MLflow run for the whole, and one nested in it for each trial.

Everything is found by tags before it is made, and every number has the time stamp of its run's beginning, so
that writing twice, or going on after a crash, leaves each run and each number there once.
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
from ftkit.errors import RegistryError
from ftkit.evaluation.selection import spreads
from ftkit_mlflow import addresses, connection

_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

# Source: MLflow, "REST API", limits of the request `runs/log-batch`.
_PARAMS, _METRICS, _LENGTH, _TAG = 100, 1000, 6000, 5000


def experiment(client: Any, name: str, artifacts: str | None, uri: str) -> str:
    """The identifier of an experiment, made when it is not there. Raises: RegistryError for a deleted one."""
    found = client.get_experiment_by_name(name)
    if found is None:
        place = f"{artifacts.rstrip('/')}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}" if artifacts else None
        connection.unless_there(lambda: client.create_experiment(name, artifact_location=place))
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise RegistryError(
            f"the experiment {name!r} was deleted",
            where=addresses.shown(uri),
            hint=f"MLFLOW_TRACKING_URI={addresses.shown(uri)} mlflow experiments restore -x {found.experiment_id}, "
            "or give `experiment` another name.",
        )
    return str(found.experiment_id)


def record(client: Any, experiment_id: str, lineage: Lineage) -> str:
    """Write what is not written yet; returns the identifier of the MLflow run for the whole."""
    parent = _parent(client, experiment_id, lineage)
    run = parent.info.run_id
    known = _children(client, experiment_id, run)
    for trial in lineage.trials:
        child = known.get(str(trial.number))
        if child is None or child.info.status == "RUNNING":
            _write_trial(client, experiment_id, run, lineage, trial, child)
    digest = hashlib.sha256(json.dumps(told(lineage), sort_keys=True).encode()).hexdigest()
    if parent.data.tags.get("ftkit.lineage") != digest:
        _write_run(client, parent, lineage, digest)
    return str(run)


def told(lineage: Lineage) -> dict[str, Any]:
    """A lineage as JSON, without what is true on this machine only."""
    values = asdict(lineage)
    del values["folder"]
    for verdict in values["verdicts"]:
        del verdict["figure"]
    told: dict[str, Any] = _plain(values)
    return told


def verdict_tags(lineage: Lineage) -> dict[str, str]:
    """One tag for each verdict, in their order."""
    return {
        _key(f"ftkit.verdict.{number}.{verdict.test}"): f"{verdict.status}: {verdict.sentence}"[:_TAG]
        for number, verdict in enumerate(lineage.verdicts, 1)
    }


def sentence(lineage: Lineage) -> str:
    """What a version is, for whoever looks at it in MLflow."""
    scores = ", ".join(f"{key} {value:.4f}" for key, value in finite(lineage.metrics).items())
    lines = [
        f"Trial {lineage.best} of ftkit run {lineage.run}, chosen by {_by(lineage)} on the validation split.",
        f"Test split: {scores}." if scores else "",
        *(f"- {verdict.test} {verdict.status}: {verdict.sentence}" for verdict in lineage.verdicts),
    ]
    return "\n\n".join(line for line in lines if line)[:_TAG]


def _by(lineage: Lineage) -> str:
    for spread in spreads(lineage.trials, lineage.metric)[:1]:
        if spread.mean is not None:
            return f"the mean {lineage.metric} of its values over {spread.finished} other seeds ({spread.mean:.4f})"
    return lineage.metric


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Numbers that JSON and databases can hold."""
    return {key: float(value) for key, value in numbers.items() if _is_number(value)}


def _parent(client: Any, experiment_id: str, lineage: Lineage) -> Any:
    query = f"tags.`ftkit.run` = {_quoted(lineage.run)} AND tags.`ftkit.part` = 'run'"
    found = connection.pages(client.search_runs, experiment_ids=[experiment_id], filter_string=query)
    if found:
        return found[0]
    return client.create_run(
        experiment_id,
        start_time=_now() - int(1000 * max((trial.seconds for trial in lineage.trials), default=0)),
        run_name=lineage.run,
        tags={"ftkit.run": lineage.run, "ftkit.part": "run", "mlflow.source.name": "ftkit"},
    )


def _children(client: Any, experiment_id: str, parent: str) -> dict[str, Any]:
    """The MLflow run of each trial by its number, for what was written so far."""
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    found = connection.pages(client.search_runs, experiment_ids=[experiment_id], filter_string=query)
    return {run.data.tags["ftkit.trial"]: run for run in found if "ftkit.trial" in run.data.tags}


def _write_trial(client: Any, experiment_id: str, parent: str, lineage: Lineage, trial: Trial, half: Any) -> None:
    """Write one trial; `half` is what a crash left of it. It ends its run last, and so is known to be whole."""
    milliseconds = int(1000 * trial.seconds)
    child = half or client.create_run(
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
        tags["ftkit.error"] = trial.error[:_TAG]
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
    """Write what concerns the run as a whole; its digest comes last, and so says that all of it is there."""
    run = parent.info.run_id
    best = next((trial for trial in lineage.trials if trial.number == lineage.best), None)
    numbers = {f"best_{key}": value for key, value in (best.metrics if best else {}).items()}
    numbers |= {f"test_{key}": value for key, value in lineage.metrics.items()}
    for spread in spreads(lineage.trials, lineage.metric)[:1]:
        found = {"mean": spread.mean, "deviation": spread.deviation, "seeds": spread.finished}
        numbers |= {f"confirmed_{lineage.metric}_{key}": value for key, value in found.items() if value is not None}
    tags = {
        "mlflow.note.content": sentence(lineage),
        "ftkit.data": lineage.data.fingerprint,
        "ftkit.bundle": lineage.bundle_hash,
        "ftkit.best_trial": str(lineage.best),
        **verdict_tags(lineage),
    }
    known = parent.data.params
    params = {key: value for key, value in _recipe(lineage.recipe).items() if key not in known}
    _log(client, run, parent.info.start_time, [(key, value, 0) for key, value in numbers.items()], params, tags)
    client.log_text(run, lineage.recipe, "lineage/recipe.toml")
    client.log_dict(run, told(lineage), "lineage/lineage.json")
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
    """Log in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(_key(key), float(value), begun, step) for key, value, step in numbers if _is_number(value)]
    said = [Param(_key(key), _text(value)) for key, value in params.items()]
    client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()])
    for part in _parts(said, _PARAMS):
        client.log_batch(run, params=part)
    for part in _parts(metrics, _METRICS):
        client.log_batch(run, metrics=part)


def _parts(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _recipe(text: str) -> dict[str, Any]:
    """The recipe's values by dotted key, as `--set` names them; nothing where it is not TOML."""
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


def _figure(number: int, verdict: Verdict) -> str:
    return f"{number}-{re.sub(r'[^A-Za-z0-9_.-]', '_', verdict.test)}.svg"


def _plain(value: Any) -> Any:
    """A value as JSON can say it: NaN and infinity are nothing there."""
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
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"


def _key(name: str) -> str:
    """A name that MLflow takes for a metric, parameter or tag."""
    return re.sub(r"[^\w./ -]", "_", name)[:250]


def _quoted(value: str) -> str:
    """A value in a search: MLflow knows two kinds of quotes and no way to write one inside its own."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _now() -> int:
    return int(time.time() * 1000)
