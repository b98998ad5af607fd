"""HyperDrive's child runs as trials: values from the tags of their parent, curves from metrics, the rest from what they left."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit import metrics, options, steps
from ftkit.contracts import Trial
from ftkit.plan import Plan
from ftkit_hyperdrive import sdk
from ftkit_hyperdrive.search import SEED

OUTPUTS = "outputs"
LEFT = f"{OUTPUTS}/trial.json"

RUNNING = ("Running", "Finalizing", "CancelRequested")
ENDED = ("Completed", "Failed", "Canceled", "NotResponding")


def number(run: Any) -> int:
    """The number of a trial: what its run's identifier ends with."""
    found = re.search(r"_(\d+)$", run.id)
    return int(found[1]) if found else 0


def search_run(step: Any) -> Any | None:
    """HyperDrive's run of a step, or None while there is none; a step that was reused has that of an earlier pipeline."""
    from azureml.core import Run

    if reused := step.properties.get("azureml.reusedrunid"):
        step = Run(step.experiment, reused)
    return next((each for each in step.get_children() if each.type == "hyperdrive"), None)


def values(plan: Plan, search: Any, run: Any) -> tuple[dict[str, Any], int]:
    """Values and seed that HyperDrive proposed for one of its runs."""
    tags = search.get_tags()
    said = tags.get(run.id) or tags.get(f"_aml_system_{run.id}") or "{}"
    return proposed(plan, json.loads(said), number(run))


def proposed(plan: Plan, arguments: Mapping[str, Any], number: int) -> tuple[dict[str, Any], int]:
    """Values and seed of the arguments that HyperDrive passes to a trial."""
    given = {name.lstrip("-"): str(value) for name, value in arguments.items()}
    if SEED in given:
        return {}, int(given[SEED])
    return steps.values(plan, given), steps.seed(plan, number)


def history(run: Any, metric: str) -> list[dict[str, float]]:
    """What a trial has reported so far: one mapping for each evaluation, made of the metrics it logged, `metric` last of all."""
    found = {name: each if isinstance(each, list) else [each] for name, each in run.get_metrics().items()}
    rows = len(found.get(metric, []))
    curves: list[dict[str, float]] = [{"epoch": row + 1} for row in range(rows)]
    for name, logged in sorted(found.items()):
        # One that is shorter lacks values that were no numbers, and nothing tells which.
        for row, value in zip(curves, logged if len(logged) >= rows else (), strict=False):
            row[name] = int(value) if name == "epoch" else float(value)
    return curves


def arrived(plan: Plan, search: Any, run: Any) -> steps.Arrived:
    """A run that ended, as a trial: as it wrote it down itself, or as far as the service can tell."""
    if left := _left(run):
        trial, data = left
        if trial.state == "finished" and run.status != "Completed":
            trial = replace(trial, state="failed" if run.status == "Failed" else "stopped")
        if trial.state == "stopped" and run.status == "Failed":
            trial = replace(trial, state="failed", error=_why(run))
        return steps.Arrived(replace(trial, number=number(run)), data)
    found, seed = values(plan, search, run)
    metric = plan.search.metric
    curve = history(run, metric)
    best: dict[str, float] = {}
    for each in curve:
        if metric in each and (not best or metrics.better(metric, each[metric], best[metric])):
            best = each
    stopped = run.status == "Canceled" and best
    trial = Trial(
        number=number(run),
        values=options.plain(found),
        seed=seed,
        state="stopped" if stopped else "failed",
        history=tuple(curve),
        metrics={name: best[name] for name in metrics.METRICS if name in best} if stopped else {},
        epoch=int(best.get("epoch", 0)) if stopped else 0,
        error="" if stopped else _why(run),
    )
    return steps.Arrived(trial)


def fetch(run: Any, folder: Path) -> None:
    """Bring what a trial left into an empty folder. Raises: StageError."""
    with sdk.asking(f"the model of {run.id} cannot be fetched"):
        run.download_files(prefix=f"{OUTPUTS}/", output_directory=str(folder), append_prefix=False)


def _left(run: Any) -> tuple[Trial, str] | None:
    with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
        if LEFT not in run.get_file_names():
            return None
        run.download_file(LEFT, str(Path(folder) / "trial.json"))
        return steps.arrived(Path(folder))


def _why(run: Any) -> str:
    """Why the service says that a run did not finish, in one line."""
    error = (run.get_details().get("error") or {}).get("error") or {}
    said = " ".join(str(error.get("message") or "").split())[:300]
    if run.status == "Completed":
        return "it reported no metric and left no model"
    return sdk.redacted(said) or f"its run ended as {run.status} and left nothing"
