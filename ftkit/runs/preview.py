"""What a run would do and roughly how long it would take, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ftkit import formatting, options
from ftkit.contracts import Data, DataReport, Publishing, Trial, capable
from ftkit.contracts.backbones import declared
from ftkit.contracts.capability_checks import offline
from ftkit.contracts.plan import Plan
from ftkit.errors import CheckpointError, FtkitError, LedgerError, VerbError
from ftkit.plugins.calls import call
from ftkit.runs import cost, plan_keys, source_files, warm_start
from ftkit.runs import ledger as ledgers
from ftkit.runs.preparation import adapted, foresee, inspected, loaded, parted


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
    warnings: tuple[str, ...] = ()
    """What is probably wrong with the data or does not suit the backbone, as in the data report of the run."""


def preview(plan: Plan) -> Preview:
    """Preview a run from the plan, the data if they are on this machine, and earlier runs; changes nothing.

    Raises: FtkitError for data that the run could not work with either.
    """
    unfinished = _unfinished(plan)
    here, data, complete = _read(plan)
    report = data.report if data else None
    seconds, basis = cost.estimate(here, data, complete)
    return Preview(
        plan=plan,
        steps=(
            Step("data", _data_step(plan, report)),
            *(Step("backbone", f"{name}: {facts}") for name, facts in _facts(plan)),
            Step("search", _search_step(plan, unfinished, complete)),
            Step("test", _test_step(plan)),
            Step("register", f"as {plan.registry.model} in {plan.registry.name}" if plan.registry else "nowhere"),
            Step("deploy", _deploy_step(plan)),
        ),
        seconds=seconds,
        basis=basis,
        resumes=unfinished.run if unfinished else "",
        pipeline=tuple(call(Publishing.outline, plan.platform, plan)) if capable(plan.platform, Publishing) else (),
        warnings=tuple(report.warnings) if report else (),
    )


def _read(plan: Plan) -> tuple[Plan, Data | None, bool]:
    """The plan as it can be tried on this machine, the data as a run would train on them, and whether the backbone is here.

    None in place of data that would have to be downloaded first. Raises: FtkitError, as the run would before it trains.
    """
    earlier = _earlier(plan)
    data = earlier or _loaded(plan)
    if data is None:
        return plan, None, True
    here = replace(plan, backbone=offline(plan.backbone), backbones=tuple(map(offline, plan.backbones)))
    try:
        data = data if earlier else inspected(here, parted(here, data)[0])
        plan = adapted(here, data)
    except CheckpointError:
        if plan.offline or not any(map(options.names_elsewhere, plan.every_backbone)):
            raise
        return plan, data, False
    if not capable(plan.platform, Publishing):  # else what the stages need is installed elsewhere
        foresee(plan, data)
    return plan, data, True


def _earlier(plan: Plan) -> Data | None:
    """The rows that an earlier run of this data set and backbone has taken, if its files are still the same."""
    sections = {"seed": plan.seed, "dataset": _section(plan.dataset), "backbone": plan.backbone_section}
    for ledger in ledgers.runs():
        recipe = ledger.recipe_values
        if any(recipe.get(key) != value for key, value in sections.items()) or not ledger.fact("data"):
            continue
        if ("risk" in recipe.get("decision", {}).get("abstain", {})) != plan.decision.promises:
            continue
        try:
            return ledger.data(("train", "valid")) if source_files.unchanged(ledger, plan) else None
        except LedgerError:
            return None
    return None


def _loaded(plan: Plan) -> Data | None:
    """The rows as the run would load them, with the test split closed; None if they would have to be downloaded first."""
    dataset: Any = offline(plan.dataset)
    try:
        return loaded(dataset, plan.seed, lambda event: None).without_test()
    except VerbError:
        raise
    except FtkitError:
        if dataset == plan.dataset or options.local_paths(dataset):  # not to be downloaded: the run would fail likewise
            raise
        return None


def _unfinished(plan: Plan) -> ledgers.Ledger | None:
    key = plan_keys.plan_key(plan.text)
    for ledger in ledgers.runs():
        if (ledger.fact("started") or {}).get("key") == key:
            return None if ledger.closed or plan.fresh else ledger
    return None


def _data_step(plan: Plan, report: DataReport | None) -> str:
    if report is None:
        return f"{plan.dataset.name}: not on this machine yet, so it would be downloaded first"
    classes = len(next(iter(report.counts.values())))
    split = ", ".join(f"{count:,} {name}" for name, count in report.sizes.items())
    return (
        f"{plan.dataset.name}: {sum(report.sizes.values()):,} texts in {classes} classes ({split}) from {report.source}"
    )


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """What each backbone declares of itself, on one line; none for one that declares nothing."""
    for backbone in plan.every_backbone:
        if facts := declared(backbone):
            yield backbone.name, ", ".join(f"{name} {value}" for name, value in facts.in_words)


def _search_step(plan: Plan, unfinished: ledgers.Ledger | None, complete: bool) -> str:
    search, earlier = plan.search, _taken(plan, unfinished)
    count = cost.trials(plan, warm_start.combinations(earlier))
    names = formatting.listing((each.name for each in plan.every_backbone), 10)
    sentence = f"{count} trial{'s' * (count != 1)} of {names} on {plan.platform.name}"
    if search.space:
        sentence += f", {search.sampler} over {', '.join(search.space)}"
    sentence += f", {search.concurrency} at a time"
    if earlier:
        sentence += f", starting from {formatting.count(len(earlier), 'trial')} of {search.start_from}"
    if search.policy.name != "none":
        sentence += f", stopped early by {search.policy.name}"
    if search.max_minutes is not None:
        sentence += f", for at most {search.max_minutes:,g} minutes"
    if search.max_cost is not None:
        sentence += f", at a cost of at most {search.max_cost:,g}"
    if search.confirm and (again := cost.repeats(plan)):
        seeds = search.confirm.seeds
        count = again // seeds
        best = f"the {count} best are" if count > 1 else "the best is"
        sentence += f"; then {best} trained again with {seeds} other seed{'s' * (seeds != 1)}"
        sentence += f" ({again} more), best mean validation {search.metric} wins"
    else:
        sentence += f", best validation {search.metric} wins"
    if search.prefer:
        sentence += f", or the cheapest by {search.prefer.cheapest} that is not significantly worse"
    if not complete:
        sentence += "; its checkpoint is not on this machine yet and would be downloaded first"
    if unfinished:
        sentence += f"; {len(unfinished.trials())} are done already in {unfinished.run}"
    return sentence


def _taken(plan: Plan, unfinished: ledgers.Ledger | None) -> list[Trial]:
    """The trials of an earlier run from which the search starts. Raises: UsageError if there are none where it needs some."""
    if plan.search.start_from is None:
        return []
    return (warm_start.taken(unfinished) if unfinished else []) or list(warm_start.fitting(plan).trials)


def _test_step(plan: Plan) -> str:
    return ", ".join(test.name for test in plan.promote) or "no tests asked for: any result is promoted"


def _deploy_step(plan: Plan) -> str:
    if plan.deploy is None:
        return "nowhere"
    steps = [f"{share} %" for share in (0, *plan.rollout.canary, 100)]
    return f"to {plan.deploy.endpoint} by {plan.deploy.name}, {' → '.join(steps)}"


def _section(component: Any) -> dict[str, Any]:
    return {"use": component.name, **options.to_table(component)}
