"""What a run and its preview do with the data before anything is trained."""

from __future__ import annotations

from dataclasses import replace

from ftkit import options
from ftkit.contracts import Adapting, Backbone, Data, Dataset, Emit, Foreseeing, Inspecting, Split, capable, space
from ftkit.contracts.plan import Plan
from ftkit.data import evaluation_sample, soundness
from ftkit.errors import DataError
from ftkit.evaluation import decision_checks
from ftkit.plugins import tasks
from ftkit.plugins.calls import call
from ftkit.plugins.titles import title


def loaded(dataset: Dataset, seed: int, emit: Emit) -> Data:
    """The rows of a data set, held to what every stage relies on. Raises: FtkitError."""
    data = call(Dataset.load, dataset, seed, emit)
    soundness.check(data, title("datasets", dataset))
    return data


def parted(plan: Plan, data: Data) -> tuple[Data, Split]:
    """The data without the validation rows that are kept back for a promise about the answers, and these rows: half of them.

    The rows that chose a model flatter it, so that no promise can be tested on them.
    """
    if not plan.decision.promises:
        return data, Split((), ())
    half = -(-len(data.valid) // 2)
    rows = min(half, plan.search.evaluation_rows or half)
    return evaluation_sample.parted(data, rows, plan.seed, "and the others test what decision.abstain promises")


def inspected(plan: Plan, data: Data) -> Data:
    """The data that a run stores: its validation rows, and in the report what the backbone will see of the texts and takes from them."""
    data = evaluation_sample.sampled(data, plan.search.evaluation_rows, plan.seed)
    report = data.report
    for backbone in plan.every_backbone:
        prefix = f"{backbone.name}: " if plan.backbones else ""
        if capable(backbone, Inspecting):
            inspection = call(Inspecting.inspect, backbone, data.without_test())
            warnings = [f"{prefix}{warning}" for warning in inspection.warnings]
            tokens = report.tokens or inspection.tokens  # of several backbones, as the first of them reads the texts
            report = replace(report, tokens=tokens, warnings=(*report.warnings, *warnings))
        if sentence := _left_to_the_data(plan, backbone, data):
            report = replace(report, notes=(*report.notes, f"{prefix}{sentence}"))
    return replace(data, report=report)


def adapted(plan: Plan, data: Data) -> Plan:
    """The plan with backbones that have a value for every option that is left to the data. Raises: FtkitError."""
    backbones = tuple(adapted_backbone(each, data) for each in plan.backbones)
    return replace(
        plan, backbone=backbones[0] if backbones else adapted_backbone(plan.backbone, data), backbones=backbones
    )


def adapted_backbone(backbone: Backbone, data: Data) -> Backbone:
    """A backbone with a value for every option that is left to the data. Raises: FtkitError."""
    return call(Adapting.adapted, backbone, data.without_test()) if capable(backbone, Adapting) else backbone


def _left_to_the_data(plan: Plan, backbone: Backbone, data: Data) -> str:
    """The values of the options that are left to the data, but for those that the search sets, in one sentence."""
    before, after = options.to_table(backbone), options.to_table(adapted_backbone(backbone, data))
    searched = space.branches(plan.search.space)
    fields = searched.get(backbone.name, searched.get("", {}))
    values = [
        f"{name} {value}"
        for name, value in after.items()
        if before.get(name) != value and name not in fields and f"{backbone.name}.{name}" not in fields
    ]
    return f"The training rows decide what the recipe leaves to them: {', '.join(values)}." if values else ""


def foresee(plan: Plan, data: Data) -> None:
    """Let backbone, deployer and promotion tests check the data before anything is trained. Raises: FtkitError.

    What does not suit the task of the data is refused here, where the data set did not say its task when the recipe was loaded.
    """
    for each in tasks.unsuited(data.task, plan.every_backbone, plan.search, plan.promote, data.fields):
        section = () if each.test is None else ("promote", plan.promote[each.test].name)
        raise DataError(each.what, where=".".join((*section, *each.key)), hint=each.hint)
    decision_checks.check(plan.decision, data, plan.search.metric)
    for component in (*plan.every_backbone, plan.deploy, *plan.promote):
        if capable(component, Foreseeing):
            call(Foreseeing.foresee, component, data)
