"""Runs of a service as trials: values from the tags of their parent, curves from metrics, the rest from what they left."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ftkit import options
from ftkit.contracts import Trial
from ftkit.contracts.plan import Plan
from ftkit.errors import UsageError
from ftkit.evaluation import metrics
from ftkit.remote.collection import ServiceTrial
from ftkit.remote.trial_step import TRIAL, read_trial, seed, values
from ftkit_azure.sampling import SEED

OUTPUTS = "outputs"
LEFT = f"{OUTPUTS}/{TRIAL}"

WAITING = ("Queued", "Preparing", "Provisioning", "Starting")
RUNNING = ("Running", "Finalizing", "CancelRequested")
ENDED = ("Completed", "Failed", "Canceled", "NotResponding")


class Run(Protocol):
    """What a service knows of a run: a pipeline, a step of it, a search or one of its trials, under the names that Azure's SDK v1 has."""

    id: str
    name: str
    """The step's name, where it is one."""
    status: str

    def get_children(self) -> Any:
        """Its own runs."""
        ...

    def get_tags(self) -> Mapping[str, str]:
        """Its tags, as they are now."""
        ...

    def get_metrics(self) -> Mapping[str, Any]:
        """What it has logged: a number, or a list of them in their order, by name."""
        ...

    def get_file_names(self) -> Sequence[str]:
        """The files that it has left so far."""
        ...

    def download_file(self, name: str, output_file_path: str) -> Any:
        """Write one of its files to a path."""
        ...

    def get_details(self) -> Mapping[str, Any]:
        """More about it, its `error` among it."""
        ...

    def get_portal_url(self) -> str:
        """Where a person can look at it."""
        ...


def number(run: Run) -> int:
    """The number of a trial: what its run's identifier ends with."""
    found = re.search(r"_(\d+)$", run.id)
    return int(found[1]) if found else 0


def assigned(plan: Plan, search: Run, run: Run) -> tuple[dict[str, Any], int]:
    """Values and seed that the service proposed for one of its runs; no values where it does not tell them any more."""
    tags = search.get_tags()
    said = json.loads(tags.get(run.id) or tags.get(f"_aml_system_{run.id}") or "{}")
    try:
        return proposed(plan, said, number(run))
    except UsageError:
        return {}, seed(plan, number(run))


def proposed(plan: Plan, arguments: Mapping[str, Any], number: int) -> tuple[dict[str, Any], int]:
    """Values and seed of the arguments that the service passes to a trial. Raises: UsageError."""
    given = {name.lstrip("-"): str(value) for name, value in arguments.items()}
    if SEED in given:
        return {}, int(given[SEED])
    return values(plan, given), seed(plan, number)


def history(run: Run, metric: str) -> list[dict[str, float]]:
    """What a trial has reported so far: one mapping for each evaluation, made of the metrics it logged.

    A service is asked for one metric after the other while the trial goes on, so an evaluation counts once all of it is there. When the
    trial has ended there is nothing to wait for.
    """
    found = {name: each if isinstance(each, list) else [each] for name, each in run.get_metrics().items()}
    whole = min(len(found.get(name, [])) for name in {*metrics.METRICS, *found})
    rows = len(found.get(metric, [])) if run.status in ENDED else whole
    curves: list[dict[str, float]] = [{"epoch": row + 1} for row in range(rows)]
    for name, logged in sorted(found.items()):
        # One that is shorter lacks values that were no numbers, and nothing tells which.
        for row, value in zip(curves, logged if len(logged) >= rows else (), strict=False):
            row[name] = int(value) if name == "epoch" else float(value)
    return curves


def as_trial(plan: Plan, search: Run, run: Run) -> ServiceTrial:
    """A run that ended, as a trial: as it wrote it down itself, or as far as the service can tell."""
    if left := _left(run):
        trial, data = left
        if trial.state == "finished" and run.status != "Completed":
            trial = replace(trial, state="failed" if run.status == "Failed" else "stopped")
        if trial.state == "stopped" and run.status == "Failed":
            trial = replace(trial, state="failed", error=why(run))
        return ServiceTrial(replace(trial, number=number(run)), data)
    found, seed = assigned(plan, search, run)
    metric = plan.search.metric
    curve = history(run, metric)
    best: dict[str, float] = {}
    for each in curve:
        if metric in each and (not best or metrics.better(metric, each[metric], best[metric])):
            best = each
    stopped = run.status == "Canceled" and best
    trial = Trial(
        number=number(run),
        values=options.toml_value(found),
        seed=seed,
        state="stopped" if stopped else "failed",
        history=tuple(curve),
        metrics={name: best[name] for name in metrics.METRICS if name in best} if stopped else {},
        epoch=int(best.get("epoch", 0)) if stopped else 0,
        error="" if stopped else why(run),
    )
    return ServiceTrial(trial)


def text(run: Run, name: str) -> str:
    """A text file that a run has left so far; empty while there is none."""
    if name not in run.get_file_names():
        return ""
    with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
        path = Path(folder) / "file"
        run.download_file(name, str(path))
        return path.read_text(encoding="utf-8")


def said(run: Run) -> str:
    """The service's own words about a failure, in one line; to be shown only without secrets."""
    error = (run.get_details().get("error") or {}).get("error") or {}
    return " ".join(str(error.get("message") or "").split())


def why(run: Run) -> str:
    """Why the service says that a run did not finish, in one line."""
    if run.status == "Completed":
        return "it reported no metric and left no model"
    return redacted(said(run)[:300]) or f"its run ended as {run.status} and left nothing"


def redacted(text: str) -> str:
    """A text of a service without signatures, keys and tokens."""
    text = re.sub(r"(?i)(sig|code|accountkey|sharedaccesssignature|client_secret)=[^&\s\"']+", r"\1=***", text)
    return re.sub(r"(?i)bearer\s+[\w.~+/-]+=*", "Bearer ***", text)


def _left(run: Run) -> tuple[Trial, str] | None:
    if LEFT not in run.get_file_names():
        return None
    with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
        run.download_file(LEFT, str(Path(folder) / TRIAL))
        return read_trial(Path(folder))
