"""`ftkit check`, `plan` and `schema`: check a recipe, preview its run, describe the format; nothing is run."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

from ftkit import formatting
from ftkit.commands import PATH, as_json, print_json
from ftkit.commands.run import recipe_options
from ftkit.display import terminal


@click.command()
@click.argument("paths", metavar="RECIPE...", type=PATH, nargs=-1, required=True)
@recipe_options
@as_json
def check(
    paths: Sequence[Path],
    overrides: Sequence[str],
    on: str | None,
    deploy: str | None,
    offline: bool,
    json_: bool,
) -> int:
    """Find every mistake in each RECIPE, with its file and line, its key, and how to repair it.

    Nothing is downloaded, loaded or run. The exit code is 2 when there is a mistake. A local file that is missing is a warning
    and no mistake, as the recipe may be checked on another machine than it runs on.
    """
    from ftkit.display import failures
    from ftkit.errors import ExitCode, RecipeError, UsageError
    from ftkit.recipe import loader as recipes

    results, code = [], ExitCode.OK
    for path in paths:
        try:
            plan = recipes.load(path, overrides, on=on, deploy=deploy, offline=offline)
        except (RecipeError, UsageError) as error:
            # The mistakes of one recipe must not hide those of another.
            code = max(code, error.exit_code)
            results.append({"recipe": str(path), "ok": False, **failures.as_json(error)})
            if not json_:
                failures.show(error)
            continue
        results.append({"recipe": str(path), "ok": True, **({"warnings": list(plan.missing)} if plan.missing else {})})
        if not json_:
            terminal.write(
                f"{path}: no mistakes: {plan.dataset.name}, {formatting.listing(each.name for each in plan.every_backbone)}, "
                + formatting.count(plan.search.trials, "trial")
            )
            for missing in plan.missing:
                terminal.write(f"{missing.where}: warning: {missing.key}: {missing.what}\n  {missing.hint}")
    if json_:
        print_json(results)
    return int(code)


@click.command()
@click.argument("path", metavar="RECIPE", type=PATH)
@recipe_options
@as_json
def plan(path: Path, overrides: Sequence[str], on: str | None, deploy: str | None, offline: bool, json_: bool) -> None:
    """Show what a run of RECIPE would do and about how long it would take, without doing it.

    Data on this machine are read as the run would read them, with the same warnings and errors; nothing is downloaded.
    """
    from ftkit.disclosure import without_secrets
    from ftkit.recipe import loader as recipes
    from ftkit.runs import preview as previews

    preview = previews.preview(recipes.load(path, overrides, on=on, deploy=deploy, offline=offline))
    if json_:
        print_json(without_secrets({**terminal.machine(preview), "plan": tomllib.loads(preview.plan.text)}))
        return
    if preview.resumes:
        terminal.write(f"The run {preview.resumes} was interrupted and would go on; --fresh would start a new one.")
    data, *steps = [(step.stage, step.says) for step in preview.steps]
    rows = [data, *(("warning", text) for text in preview.warnings), *steps, *preview.pipeline]
    cost = f"about {formatting.duration(preview.seconds)} for the search; " if preview.seconds is not None else ""
    terminal.labelled(without_secrets([*rows, ("cost", f"{cost}{preview.basis}")]))


@click.command()
def schema() -> None:
    """Print the JSON Schema of recipes for the installed plugins, for editors that complete TOML."""
    from ftkit.recipe import json_schema as schemas

    print_json(schemas.schema())
