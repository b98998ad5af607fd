"""What a run and its preview do with the data before anything is trained."""

from __future__ import annotations

from dataclasses import replace

from ftkit.contracts import Data, Foreseeing, Inspecting
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, StageError


def inspected(plan: Plan, data: Data) -> Data:
    """The data with what the backbone will see of the texts in the report."""
    if not isinstance(plan.backbone, Inspecting):
        return data
    inspection = plan.backbone.inspect(data.without_test())
    warnings = (*data.report.warnings, *inspection.warnings)
    return replace(data, report=replace(data.report, tokens=inspection.tokens, warnings=warnings))


def foresee(plan: Plan, data: Data) -> None:
    """Let backbone, deployer and promotion tests check the data before anything is trained. Raises: FtkitError."""
    for component in (plan.backbone, plan.deploy):
        if isinstance(component, Foreseeing):
            component.foresee(data)
    for test in plan.promote:
        if isinstance(test, Foreseeing):
            try:
                test.foresee(data)
            except FtkitError:
                raise
            except Exception as error:
                raise StageError(
                    f"the promotion test {test.name!r} cannot judge this data: {type(error).__name__}: {error}",
                    hint="Fix its options or take it out of the recipe, then give the same command.",
                ) from error
