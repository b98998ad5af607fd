"""The folder of files that the steps of a pipeline run with, and the data that the workspace has itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.contracts.plan import Plan
from ftkit.options import Mistake
from ftkit.remote import snapshot
from ftkit.remote.snapshot import Snapshot
from ftkit_azure.options import PipelineOptions
from ftkit_azure.step import scripts


def pack(
    plan: Plan, options: PipelineOptions, folder: Path, module: str, client_only: Collection[str] = ()
) -> Snapshot:
    """Fill an empty folder; `module` has `connect` for the steps, `client_only` names distributions that no step needs.

    Raises: PluginError; StageError when the folder is larger than the options allow.
    """
    return snapshot.pack(
        plan,
        folder,
        snapshot.needs(plan, client_only),
        scripts=scripts(module),
        replaced=options.data,
        most_mb=options.snapshot_mb,
        hint=f"Register large data as a {options.data_noun} and name it in run.data, or raise run.snapshot_mb (300 at most).",
    )


def data_mistakes(plan: Plan, options: PipelineOptions) -> list[Mistake]:
    """Options that `run.data` names and that do not exist, and files of the recipe that do not exist."""
    mistakes = []
    for key in options.data:
        section, _, option = key.partition(".")
        component: Any = getattr(plan, section)
        if option not in {field.name for field in fields(component)}:
            what = f"{component.name!r} has no option {option!r} that a {options.data_noun} could stand for"
            mistakes.append(Mistake(("run", "data"), what, f"`ftkit options {component.name}` lists its options."))
    paths = snapshot.local_files(plan, options.data)
    for key, path in ((key, path) for key, several in paths.items() for path in several):
        if not files.matching(path):
            hint = f'Fix the path, or name a registered {options.data_noun}: run.data = {{ "{key}" = "NAME" }}.'
            mistakes.append(Mistake(tuple(key.split(".")), f"there is no {path} to take along", hint))
    return mistakes
