"""`ftkit run --resume`: find the interrupted run that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


def interrupted(recipe: Path | None, overrides: Sequence[str], *, fresh: bool, **further: Any) -> Plan:
    """The plan of an interrupted run: the run of a recipe, a run by its name, or the latest of all.

    Raises: UsageError when there is none; RecipeError; PluginError.
    """
    from ftkit.errors import UsageError
    from ftkit.recipe import loader as recipes
    from ftkit.runs import ledger as ledgers
    from ftkit.runs import plan_keys

    if fresh:
        raise UsageError("--resume goes on with a run, --fresh starts a new one", hint="Give one of them.")
    if recipe is not None and recipes.located(recipe).is_file():
        plan = recipes.load(recipe, overrides, **further)
        if _going_on(plan_keys.plan_key(plan.text)) is None:
            raise UsageError(
                "there is no interrupted run of this recipe, with these options",
                where=str(recipe),
                hint="`ftkit runs` lists the runs; without --resume a new one starts.",
            )
        return plan
    if recipe is None:
        run = next((each for each in ledgers.runs() if not each.closed), None)
        if run is None:
            raise UsageError("no run was interrupted", hint="`ftkit run RECIPE` starts a run.")
    else:
        run = ledgers.find(str(recipe))
        if run.closed:
            raise UsageError(
                f"the run {run.run} has ended", where=str(run.folder), hint="`ftkit run RECIPE` starts another."
            )
    if further.get("on") or further.get("deploy") or further.get("offline") or overrides:
        raise UsageError(
            "a run goes on with the recipe it started with",
            where=run.run,
            hint="Name the recipe, or leave the other options out.",
        )
    plan = recipes.loads(run.recipe)
    newest = _going_on(plan_keys.plan_key(plan.text))
    if newest is None or newest.run != run.run:
        hint = (
            f"`ftkit run --resume {newest.run}` goes on with that one."
            if newest
            else "`ftkit run RECIPE` starts another."
        )
        raise UsageError("there is a later run of the same recipe", where=run.run, hint=hint)
    return plan


def _going_on(key: str) -> Ledger | None:
    """The run with which a plan of this key would go on, or None."""
    from ftkit.runs import ledger as ledgers

    run = next((each for each in ledgers.runs() if (each.fact("started") or {}).get("key") == key), None)
    return None if run is None or run.closed else run
