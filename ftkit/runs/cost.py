"""About how long a search takes: by an earlier run, by some steps of training, or by the speed of this machine."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ftkit import hardware
from ftkit.contracts import (
    Data,
    DataReport,
    EpochTrained,
    Estimable,
    Publishing,
    Rehearsing,
    Trial,
    capable,
)
from ftkit.contracts.backbones import FittedAtOnce
from ftkit.contracts.plan import Plan
from ftkit.contracts.space import Dimension, branches, combinations, ends
from ftkit.errors import LedgerError
from ftkit.evaluation import selection
from ftkit.options import toml_value
from ftkit.plugins.calls import call
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger

TOKENS_PER_WORD = 1.3
"""Word pieces per word of English prose, roughly. Source: measured with BERT's vocabulary on product reviews."""
STARTING = 10.0
"""Seconds of an encoder's trial outside its epochs: starting a process, reading weights and texts, storing the model."""


def estimate(plan: Plan, data: Data | None, complete: bool) -> tuple[float | None, str]:
    """Seconds of the search, None if it cannot be estimated, and the basis of the estimate.

    Without its checkpoint on this machine, the backbone is not `complete`, and can neither adapt to the data nor be tried.
    Raises: FtkitError.
    """
    if capable(plan.platform, Publishing):
        return None, "unknown: the machines that train are elsewhere"
    if data is None:
        return None, "unknown until the data has been read once"
    if plan.backbones:
        return _of_several(plan, data, complete)
    if (epochs := evaluations(plan)) is None:
        return None, "unknown until the checkpoint is on this machine: the backbone decides by it how to train"
    if earlier := _earlier(plan, data.report, epochs):
        return earlier
    if capable(plan.backbone, Rehearsing) and complete:
        if (seconds := call(Rehearsing.epoch_seconds, plan.backbone, data)) is None:
            return None, "unknown until one trial has been run"
        return seconds * epochs + STARTING * trainings(plan), "by some steps of training just now"
    parameters = call(Estimable.encoder_parameters, plan.backbone) if capable(plan.backbone, Estimable) else None
    if parameters is None or shutil.which("nvidia-smi"):
        return None, "unknown until one trial has been run"
    operations = 6 * parameters * _tokens(data.report, _max_length(plan)) * _rows(data.report) * epochs
    seconds = operations / _speed() + STARTING * trainings(plan)
    return seconds, "guessed from this machine's matrix speed, as the checkpoint is not here yet; it may be far off"


def _of_several(plan: Plan, data: Data, complete: bool) -> tuple[float | None, str]:
    """The estimate where backbones are searched: as if each had an equal share of the trainings."""
    total, bases = 0.0, []
    for backbone, fields in zip(plan.backbones, branches(plan.search.space).values(), strict=True):
        share = math.ceil(trainings(plan) / len(plan.backbones))
        if capable(backbone, FittedAtOnce) and call(FittedAtOnce.fitted_at_once, backbone):
            total += STARTING * share
            continue
        space = {name.rpartition(".")[2]: dimension for name, dimension in fields.items()}
        search = replace(plan.search, space=space, trials=share, sampler="random", confirm=None)
        seconds, basis = estimate(replace(plan, backbone=backbone, backbones=(), search=search), data, complete)
        if seconds is None:
            return None, f"{basis} ({backbone.name})"
        total += seconds
        bases.append(f"{backbone.name}: {basis}")
    return total, "; ".join(bases) or "all are fitted at once"


def evaluations(plan: Plan) -> float | None:
    """Epochs over all trials and repeats, for a searched range by its mean; None while the backbone leaves them to the data."""
    if (dimension := plan.search.space.get("epochs")) is not None:
        return trainings(plan) * _mean(dimension)
    epochs = call(EpochTrained.epochs, plan.backbone) if capable(plan.backbone, EpochTrained) else 1
    return trainings(plan) * epochs if isinstance(epochs, int) else None


def trainings(plan: Plan) -> int:
    """How many trials and repeats there will be."""
    return trials(plan) + repeats(plan)


def trials(plan: Plan, tried: int = 0) -> int:
    """How many trials there will be: a grid may have fewer than the recipe allows, without those that an earlier run has tried."""
    is_grid = plan.search.sampler == "grid" and plan.search.space
    count = combinations(plan.search.space) if is_grid else None
    return plan.search.trials if count is None else min(plan.search.trials, count - tried)


def repeats(plan: Plan) -> int:
    """How many trainings with other seeds there will be after the search, if all of its trials finish."""
    return selection.most_repeats(plan.search, trials(plan))


def _earlier(plan: Plan, report: DataReport, epochs: float) -> tuple[float, str] | None:
    """Seconds by the newest run on this machine that trained the same model, and the name of that run."""
    for ledger in ledgers.runs():
        done = [trial for trial in ledger.trials() if trial.state == "finished" and trial.history]
        if not done or not _comparable(plan, ledger):
            continue
        try:
            earlier_report = ledger.data(()).report
        except LedgerError:
            continue
        more = _rows(report) / _rows(earlier_report) * _longer(plan, report, ledger, earlier_report)
        epoch, starting = _measured(done, earlier_report)
        # Trials that ran at the same time shared the processor: the whole search was that much shorter than their sum.
        together = min(ledger.recipe_values.get("search", {}).get("concurrency", 1), len(done))
        seconds = (epoch * more * epochs + starting * trainings(plan)) / together
        return seconds, f"measured in {ledger.run}"
    return None


def _comparable(plan: Plan, ledger: Ledger) -> bool:
    """Whether a run trained the same model in the same form on the same hardware."""
    backbone, environment = ledger.recipe_values.get("backbone", {}), ledger.fact("environment") or {}
    if "use" not in backbone:
        return False
    now = {"use": plan.backbone.name} | {
        name: value for name in backbone if isinstance(value := toml_value(getattr(plan.backbone, name, None)), str)
    }
    machine = {"processor": hardware.processor(), "cores": hardware.cores(), "gpus": hardware.gpus()}
    return all(backbone[name] == value for name, value in now.items() if isinstance(backbone.get(name), str)) and all(
        environment.get(key, value) == value for key, value in machine.items()
    )


def _measured(done: Sequence[Trial], report: DataReport) -> tuple[float, float]:
    """Seconds of an epoch, and those of a trial outside its epochs if the backbone says how many rows it trains in a second."""
    seconds, evaluations = sum(trial.seconds for trial in done), sum(len(trial.history) for trial in done)
    epochs = sum(trial.history[-1].get("epochs", len(trial.history)) for trial in done)
    speeds = [each["rows_per_second"] for trial in done for each in trial.history if each.get("rows_per_second")]
    if len(speeds) < evaluations:
        return seconds / epochs, 0.0
    epoch = _rows(report) * sum(1 / each for each in speeds) / evaluations
    return epoch, max(seconds - epoch * epochs, 0.0) / len(done)


def _rows(report: DataReport) -> float:
    """Rows of an epoch in units of training rows: training a row takes three times as long as validating one."""
    return report.sizes["train"] + report.sizes["valid"] / 3


def _longer(plan: Plan, report: DataReport, ledger: Ledger, earlier: DataReport) -> float:
    """How many times as long as those of an earlier run the rows are that the model reads."""
    before = earlier.tokens.get("max_length", ledger.recipe_values["backbone"].get("max_length"))
    counted = "median_tokens" in report.tokens and "median_tokens" in earlier.tokens
    return _tokens(report, _max_length(plan), counted) / _tokens(earlier, before, counted)


def _tokens(report: DataReport, longest: Any, counted: bool = False) -> float:
    """Tokens of a typical row, at most the `longest` if that is a number: as the backbone counted them, or by its words."""
    words = (report.lengths["p50"] + report.lengths["p95"]) / 2
    usual = report.tokens["median_tokens"] if counted else words * TOKENS_PER_WORD
    return max(1.0, min(usual, longest) if isinstance(longest, int | float) else usual)


def _max_length(plan: Plan) -> Any:
    return call(Estimable.max_length, plan.backbone) if capable(plan.backbone, Estimable) else None


def _speed() -> float:
    """Operations per second in single-precision matrix products on this machine, the best of several: training comes near it."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    # The CPU time of one thread: other processes do not count, and several threads would wait for each other.
    matrix = np.ones((384, 384), dtype=np.float32)
    best, ends = float("inf"), time.perf_counter() + 0.5
    with threadpool_limits(1):
        while True:
            begun = time.thread_time()
            matrix @ matrix
            best = min(best, time.thread_time() - begun)
            if time.perf_counter() > ends:
                break
    return 2 * 384**3 / max(best, 1e-9) * hardware.cores()


def _mean(dimension: Dimension) -> float:
    values = ends(dimension)
    return sum(values) / len(values)
