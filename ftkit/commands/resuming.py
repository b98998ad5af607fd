"""`ftkit run --resume`: which interrupted run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


def interrupted(recipe: Path | None, overrides: Sequence[str], *, fresh: bool, **further: Any) -> Plan:
    """The plan of a run that was interrupted: of a recipe, of a run's identifier, or the latest of all.

    Raises: UsageError when there is none; RecipeError; PluginError.
    """
    from ftkit.errors import UsageError
    from ftkit.recipe import loader as recipes
    from ftkit.runs import ledger as ledgers

    if fresh:
        raise UsageError("--resume goes on with a run and --fresh begins a new one", hint="Give one of them.")
    if recipe is not None and (recipe.exists() or str(recipe) in recipes.bundled()):
        plan = recipes.load(recipe, overrides, **further)
        if _going_on(ledgers.plan_key(plan.text)) is None:
            raise UsageError(
                "there is no interrupted run of this recipe, with these options",
                where=str(recipe),
                hint="`ftkit runs` lists the runs; without --resume a new one begins.",
            )
        return plan
    if recipe is None:
        found = next((each for each in ledgers.runs() if not each.finished), None)
        if found is None:
            raise UsageError("no run was interrupted", hint="`ftkit run RECIPE` begins one.")
    else:
        found = ledgers.find(str(recipe))
        if found.finished:
            raise UsageError(
                f"{found.run} has come to its end", where=str(found.folder), hint="`ftkit run RECIPE` begins another."
            )
    if further.get("on") or further.get("deploy") or further.get("offline") or overrides:
        raise UsageError(
            "a run goes on by the recipe it began with",
            where=found.run,
            hint="Name the recipe, or take the other options away.",
        )
    plan = recipes.loads(found.recipe)
    newest = _going_on(ledgers.plan_key(plan.text))
    if newest is None or newest.run != found.run:
        instead = (
            f"`ftkit run --resume {newest.run}` goes on with that." if newest else "`ftkit run RECIPE` begins another."
        )
        raise UsageError("there is a later run of the same recipe", where=found.run, hint=instead)
    return plan


def _going_on(key: str) -> Ledger | None:
    """The run with which a plan of this key would go on."""
    from ftkit.runs import ledger as ledgers

    found = next((each for each in ledgers.runs() if (each.fact("started") or {}).get("key") == key), None)
    return None if found is None or found.finished else found
