"""Runs of the service as trials: values from the tags of their parent, curves from metrics, the rest from the files they left."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ftkit import options, scratch
from ftkit.contracts import Trial
from ftkit.contracts.plan import Plan
from ftkit.contracts.tasks import METRICS_OF, SINGLE_LABEL
from ftkit.errors import UsageError
from ftkit.evaluation import metrics
from ftkit.redaction import redacted
from ftkit.remote.collection import ServiceTrial
from ftkit.remote.trial_step import TRIAL, read_trial, seed, values
from ftkit_azure.sampling import SEED
from ftkit_azure.states import ENDED

OUTPUTS = "outputs"
"""The folder of a run whose files the service keeps."""
LEFT = f"{OUTPUTS}/{TRIAL}"
"""The file in which a trial writes down how it stands."""


class Run(Protocol):
    """What the service knows of a run: a pipeline, a step of it, a search or one of its trials. The names are those of SDK v1."""

    id: str
    name: str
    """The step's name, where the run is a step."""
    status: str

    def get_children(self) -> Any:
        """The runs that it has started."""
        ...

    def get_tags(self) -> Mapping[str, str]:
        """Its tags, as they are now."""
        ...

    def get_metrics(self) -> Mapping[str, Any]:
        """The metrics it has logged, by name: a number, or a list in the order of logging."""
        ...

    def get_file_names(self) -> Sequence[str]:
        """The files that it has uploaded so far."""
        ...

    def download_file(self, name: str, output_file_path: str) -> Any:
        """Write one of its files to a path."""
        ...

    def get_details(self) -> Mapping[str, Any]:
        """Further facts; `error` holds why it failed."""
        ...

    def get_portal_url(self) -> str:
        """The address of its page."""
        ...


def trial_number(run: str) -> int:
    """The number of a trial: its run's identifier ends with it."""
    number = re.search(r"_(\d+)$", run)
    return int(number[1]) if number else 0


def assigned_values(plan: Plan, search: Run, run: Run) -> tuple[dict[str, Any], int]:
    """Values and seed that the service proposed for a trial; no values where the tags of the search do not hold them any more."""
    tags = search.get_tags()
    arguments = json.loads(tags.get(run.id) or tags.get(f"_aml_system_{run.id}") or "{}")
    try:
        return proposed_values(plan, arguments, trial_number(run.id))
    except UsageError:
        return {}, seed(plan, trial_number(run.id))


def proposed_values(plan: Plan, arguments: Mapping[str, Any], number: int) -> tuple[dict[str, Any], int]:
    """Values and seed of the arguments that the service passes to a trial. Raises: UsageError."""
    texts = {name.lstrip("-"): str(value) for name, value in arguments.items()}
    if SEED in texts:
        return {}, int(texts[SEED])
    return values(plan, texts), seed(plan, number)


def history(run: Run, metric: str) -> list[dict[str, float]]:
    """The evaluations that a trial has reported so far, each a mapping of the metrics it logged.

    The service answers for one metric after the other while the trial goes on, so an evaluation counts once all of its metrics have
    arrived. When the trial has ended there is nothing to wait for. A trial that was started again may have reported an epoch twice: it
    counts once.
    """
    logged = {name: each if isinstance(each, list) else [each] for name, each in run.get_metrics().items()}
    complete = min(len(logged.get(name, [])) for name in {metric, *_of_their_task(logged), *logged})
    count = len(logged.get(metric, [])) if run.status in ENDED else complete
    evaluations: list[dict[str, float]] = [{"epoch": row + 1} for row in range(count)]
    for name, numbers in sorted(logged.items()):
        # A shorter list lacks values that were not finite, and nothing says which.
        for evaluation, value in zip(evaluations, numbers if len(numbers) >= count else (), strict=False):
            evaluation[name] = int(value) if name == "epoch" else float(value)
    by_epoch = {evaluation["epoch"]: evaluation for evaluation in evaluations}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def _of_their_task(logged: Collection[str]) -> tuple[str, ...]:
    """All metrics of the task that some of them belong to."""
    own = METRICS_OF[SINGLE_LABEL]
    return next((names for names in METRICS_OF.values() if {*names}.difference(own).intersection(logged)), own)


def as_trial(plan: Plan, search: Run, run: Run) -> ServiceTrial:
    """A run that ended, as a trial: as it wrote it down itself, or as far as the service knows."""
    number = trial_number(run.id)
    if written := _written_down(run):
        trial, data = written
        if trial.state == "finished" and run.status != "Completed":
            trial = replace(trial, state="failed" if run.status == "Failed" else "stopped")
        if trial.state == "stopped" and run.status == "Failed":
            trial = replace(trial, state="failed", error=failure_reason(run))
        return ServiceTrial(replace(trial, number=number), data)
    proposed, seed = assigned_values(plan, search, run)
    metric = plan.search.metric
    curve = history(run, metric)
    best: dict[str, float] = {}
    for evaluation in curve:
        if metric in evaluation and (not best or metrics.better(metric, evaluation[metric], best[metric])):
            best = evaluation
    stopped = run.status == "Canceled" and best
    trial = Trial(
        number=number,
        values=options.toml_value(proposed),
        seed=seed,
        state="stopped" if stopped else "failed",
        history=tuple(curve),
        metrics={name: best[name] for name in metrics.METRICS if name in best} if stopped else {},
        epoch=int(best.get("epoch", 0)) if stopped else 0,
        error="" if stopped else failure_reason(run),
    )
    return ServiceTrial(trial)


def read_text(run: Run, name: str) -> str:
    """A text file that a run has uploaded so far; empty while there is none."""
    if name not in run.get_file_names():
        return ""
    with scratch.folder() as folder:
        path = folder / "file"
        run.download_file(name, str(path))
        return path.read_text(encoding="utf-8")


def error_message(run: Run) -> str:
    """What the service says about a failure, in one line and without secrets."""
    error = (run.get_details().get("error") or {}).get("error") or {}
    return redacted(" ".join(str(error.get("message") or "").split()))


def failure_reason(run: Run) -> str:
    """Why the service says that a run did not finish, in one line."""
    if run.status == "Completed":
        return "it reported no metric and left no model"
    return error_message(run)[:300] or f"its run ended as {run.status} and left nothing"


def _written_down(run: Run) -> tuple[Trial, str] | None:
    if LEFT not in run.get_file_names():
        return None
    with scratch.folder() as folder:
        run.download_file(LEFT, str(folder / TRIAL))
        return read_trial(folder)
