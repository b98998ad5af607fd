"""`ftkit check`, `plan` and `schema`: what a recipe says, without doing it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

from ftkit.commands import as_json, print_json
from ftkit.commands.run import recipe_options
from ftkit.display import terminal


@click.command(short_help="Find every mistake of a recipe.")
@click.argument("paths", metavar="RECIPE...", type=click.Path(path_type=Path), nargs=-1, required=True)
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
    """Find every mistake of each RECIPE: its file and line, its key, and how to fix it.

    Nothing is downloaded, loaded or run. The exit code is 2 when there is a mistake.
    """
    from ftkit.display import failures
    from ftkit.errors import ExitCode, RecipeError, UsageError
    from ftkit.recipe import loader as recipes

    said, code = [], ExitCode.OK
    for path in paths:
        try:
            plan = recipes.load(path, overrides, on=on, deploy=deploy, offline=offline)
        except (RecipeError, UsageError) as error:
            # One recipe's mistakes must not hide another's.
            code = ExitCode.RECIPE
            said.append({"recipe": str(path), "ok": False, **failures.as_json(error)})
            if not json_:
                failures.show(error)
            continue
        trials = plan.search.trials
        said.append({"recipe": str(path), "ok": True})
        if not json_:
            terminal.write(
                f"{path}: no mistakes: {plan.dataset.name}, {plan.backbone.name}, {trials} trial{'s' * (trials != 1)}"
            )
    if json_:
        print_json(said)
    return int(code)


@click.command(short_help="Say what a run would do and cost.")
@click.argument("path", metavar="RECIPE", type=click.Path(path_type=Path))
@recipe_options
@as_json
def plan(path: Path, overrides: Sequence[str], on: str | None, deploy: str | None, offline: bool, json_: bool) -> None:
    """Say what a run of RECIPE would do and about what it would cost, without doing it."""
    from ftkit import formatting
    from ftkit.disclosure import without_secrets
    from ftkit.recipe import loader as recipes
    from ftkit.runs import preview as previews

    seen = previews.preview(recipes.load(path, overrides, on=on, deploy=deploy, offline=offline))
    if json_:
        print_json(without_secrets({**terminal.machine(seen), "plan": tomllib.loads(seen.plan.text)}))
        return
    if seen.resumes:
        terminal.write(f"goes on with {seen.resumes}, which was interrupted; --fresh would begin anew")
    for step in without_secrets(seen.steps):
        terminal.write(f"{step.stage + ':':<10} {step.says}")
    for title, says in without_secrets(seen.pipeline):
        terminal.write(f"{title + ':':<10} {says}")
    cost = f"about {formatting.duration(seen.seconds)} for the search; " if seen.seconds is not None else ""
    terminal.write(f"{'cost:':<10} {cost}{seen.basis}")


@click.command(short_help="Print the JSON Schema of recipes.")
def schema() -> None:
    """Print the JSON Schema of recipes for the installed plugins, for editors that complete TOML."""
    from ftkit.recipe import json_schema as schemas

    print_json(schemas.schema())
