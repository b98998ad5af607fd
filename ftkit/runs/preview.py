"""What a run would do and roughly how long it would take, without running it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import Any

from ftkit import hardware, options
from ftkit.contracts import DataReport, EpochTrained, Estimable, Publishing, Trial
from ftkit.contracts.capabilities import offline
from ftkit.contracts.plan import Plan
from ftkit.contracts.space import Dimension, ends, size
from ftkit.errors import FtkitError
from ftkit.evaluation import selection
from ftkit.runs import ledger as ledgers

TOKENS_PER_WORD = 1.3
"""Word pieces per word of English prose, roughly. Source: measured with BERT's vocabulary on product reviews."""


@dataclass(frozen=True)
class Step:
    """One stage of the run, in a sentence or two."""

    stage: str
    says: str


@dataclass(frozen=True)
class Preview:
    """The stages to come, and an estimate of the time the search takes."""

    plan: Plan
    steps: tuple[Step, ...]
    seconds: float | None
    """Estimated duration of the search; None if it cannot be estimated."""
    basis: str
    """What the estimate is based on."""
    resumes: str = ""
    """The interrupted run that would be continued; empty if there is none."""
    pipeline: tuple[tuple[str, str], ...] = ()
    """The pipeline that a platform would submit to a service, as titles and sentences."""


def preview(plan: Plan) -> Preview:
    """Preview a run from the plan, the data if they are on this machine, and earlier runs; changes nothing."""
    report = _data_report(plan)
    seconds, basis = _cost(plan, report)
    unfinished = _unfinished(plan)
    return Preview(
        plan=plan,
        steps=(
            Step("data", _data_step(plan, report)),
            Step("search", _search_step(plan, unfinished)),
            Step("test", _test_step(plan)),
            Step("register", f"as {plan.registry.model} in {plan.registry.name}" if plan.registry else "nowhere"),
            Step("deploy", _deploy_step(plan)),
        ),
        seconds=seconds,
        basis=basis,
        resumes=unfinished.run if unfinished else "",
        pipeline=tuple(plan.platform.outline(plan)) if isinstance(plan.platform, Publishing) else (),
    )


def evaluations(plan: Plan) -> float:
    """Epochs over all trials and repeats; for a searched range, its mean for each trial."""
    dimension = plan.search.space.get("epochs")
    epochs = (
        _mean(dimension)
        if dimension is not None
        else plan.backbone.epochs
        if isinstance(plan.backbone, EpochTrained)
        else 1
    )
    return (trials(plan) + repeats(plan)) * epochs


def trials(plan: Plan) -> int:
    """How many trials there will be: a grid may have fewer than the recipe allows."""
    counts = [size(dimension) for dimension in plan.search.space.values()]
    if plan.search.sampler != "grid" or not counts or None in counts:
        return plan.search.trials
    points = 1
    for count in counts:
        points *= count or 1
    return min(plan.search.trials, points)


def repeats(plan: Plan) -> int:
    """How many trainings with other seeds there will be after the search, if all of its trials finish."""
    return selection.most_repeats(plan.search, trials(plan))


def _data_report(plan: Plan) -> DataReport | None:
    """The data report, from an earlier run or by reading files of this machine; None if the data must be downloaded."""
    for ledger in ledgers.runs():
        if ledger.recipe_values.get("dataset") == _section(plan.dataset) and ledger.fact("data"):
            return ledger.data(()).report
    dataset: Any = plan.dataset
    try:
        return offline(dataset).load(plan.seed, lambda event: None).report
    except FtkitError:
        return None


def _cost(plan: Plan, report: DataReport | None) -> tuple[float | None, str]:
    """Seconds of the search and the basis of the estimate: an earlier run if there is one, else the machine's speed."""
    if isinstance(plan.platform, Publishing):
        return None, "unknown: the machines that train are elsewhere"
    if report is None:
        return None, "unknown until the data has been read once"
    rows = _rows(report)
    for ledger in ledgers.runs():
        recipe = ledger.recipe_values
        if recipe.get("backbone", {}).get("use") != plan.backbone.name or not ledger.fact("data"):
            continue
        done = [trial for trial in ledger.trials() if trial.state == "finished" and trial.history]
        if done:
            earlier_report = ledger.data(()).report
            per_row = _seconds_per_row(done, earlier_report) * _tokens(plan, report) / _tokens(plan, earlier_report)
            seconds = per_row * rows * evaluations(plan) / plan.search.concurrency
            return seconds, f"measured in {ledger.run}"
    parameters = plan.backbone.encoder_parameters if isinstance(plan.backbone, Estimable) else None
    if parameters is None or shutil.which("nvidia-smi"):
        return None, "unknown until one trial has been run"
    operations = 6 * parameters * _tokens(plan, report) * rows * evaluations(plan)
    return operations / _speed(), "guessed from this machine's matrix speed; it may be off by a factor of two"


def _rows(report: DataReport) -> float:
    """Rows of an epoch in units of training rows: training a row takes three times as long as validating one."""
    return sum(report.counts["train"].values()) + sum(report.counts["valid"].values()) / 3


def _seconds_per_row(done: list[Trial], report: DataReport) -> float:
    return sum(trial.seconds for trial in done) / sum(len(trial.history) for trial in done) / _rows(report)


def _tokens(plan: Plan, report: DataReport) -> float:
    """Tokens of a typical row, at most the backbone's `max_length`."""
    usual = (report.lengths["p50"] + report.lengths["p95"]) / 2 * TOKENS_PER_WORD
    longest = plan.backbone.max_length if isinstance(plan.backbone, Estimable) else 512
    return max(1.0, min(usual, longest))


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


def _unfinished(plan: Plan) -> ledgers.Ledger | None:
    key = ledgers.plan_key(plan.text)
    for ledger in ledgers.runs():
        if (ledger.fact("started") or {}).get("key") == key:
            return None if ledger.finished or plan.fresh else ledger
    return None


def _data_step(plan: Plan, report: DataReport | None) -> str:
    if report is None:
        return f"{plan.dataset.name}: not on this machine yet, so it would be downloaded first"
    counts = {split: sum(each.values()) for split, each in report.counts.items()}
    classes = len(next(iter(report.counts.values())))
    split = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{plan.dataset.name}: {sum(counts.values()):,} texts in {classes} classes ({split}) from {report.source}"


def _search_step(plan: Plan, unfinished: ledgers.Ledger | None) -> str:
    search, count = plan.search, trials(plan)
    sentence = f"{count} trial{'s' * (count != 1)} of {plan.backbone.name} on {plan.platform.name}"
    if search.space:
        sentence += f", {search.sampler} over {', '.join(search.space)}"
    sentence += f", {search.concurrency} at a time"
    if search.policy.name != "none":
        sentence += f", stopped early by {search.policy.name}"
    if search.confirm and (again := repeats(plan)):
        seeds = search.confirm.seeds
        count = again // seeds
        best = f"the {count} best are" if count > 1 else "the best is"
        sentence += f"; then {best} trained again with {seeds} other seed{'s' * (seeds != 1)}"
        sentence += f" ({again} more), best mean validation {search.metric} wins"
    else:
        sentence += f", best validation {search.metric} wins"
    if unfinished:
        sentence += f"; {len(unfinished.trials())} are done already in {unfinished.run}"
    return sentence


def _test_step(plan: Plan) -> str:
    return ", ".join(test.name for test in plan.promote) or "no tests asked for: any result is promoted"


def _deploy_step(plan: Plan) -> str:
    if plan.deploy is None:
        return "nowhere"
    steps = [f"{share} %" for share in (0, *plan.rollout.canary, 100)]
    return f"to {plan.deploy.endpoint} by {plan.deploy.name}, {' → '.join(steps)}"


def _mean(dimension: Dimension) -> float:
    values = ends(dimension)
    return sum(values) / len(values)


def _section(component: Any) -> dict[str, Any]:
    return {"use": component.name, **options.to_table(component)}
