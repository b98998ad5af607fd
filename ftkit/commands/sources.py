"""Find the bundle that an argument names: a bundle's folder, a run, or a registered model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftkit import files, options, plugins
from ftkit.bundle.bundle import MANIFEST, Bundle, verify
from ftkit.contracts import Registry, Version
from ftkit.errors import BundleError, PluginError, RegistryError, UsageError
from ftkit.plugins.calls import call
from ftkit.recipe import loader as recipes
from ftkit.runs import ledger, status


def registries(paths: Sequence[Path] = ()) -> Iterator[Registry]:
    """The registries of these recipes, or of all runs of this machine, without repetitions."""
    if paths:
        named = [plan.registry for plan in map(recipes.load, paths) if plan.registry is not None]
        yield from (registry for index, registry in enumerate(named) if registry not in named[:index])
        return
    seen: list[dict[str, Any]] = []
    for run in ledger.runs():
        try:
            section = dict(run.recipe_values["registry"])
            if section in seen:
                continue
            seen.append(dict(section))
            # From the section alone: the rest of an old recipe may need plugins that are not installed any more.
            yield options.build(plugins.load().find("registries", section.pop("use")), section)
        except (OSError, ValueError, LookupError, options.Mistakes, PluginError):
            continue  # no registry, or one that is not installed any more


def bundle(source: str) -> Bundle:
    """The verified bundle of a folder, a run, MODEL or MODEL:VERSION.

    Raises: UsageError when there is none of these; BundleError; RegistryError.
    """
    folder = files.expanded(source)
    if files.exists(folder / MANIFEST):
        return verify(folder)
    for run in (files.home() / "runs" / source, folder):
        if files.exists(run / "journal.jsonl"):
            if not (run / "bundle").is_dir():
                raise BundleError(**status.no_model(ledger.Ledger(run)))
            return verify(run / "bundle")
    if files.exists(folder) and folder.is_dir() and len(folder.parts) > 1:
        return verify(folder)  # meant as a path: the error says what is wrong with it
    return _registered(source)


def _registered(source: str) -> Bundle:
    name, _, number = source.partition(":")
    known: list[str] = []
    errors: list[str] = []
    for registry in registries():
        known.append(registry.model)
        if registry.model != name:
            continue
        try:
            return _fetched(registry, number)
        except RegistryError as error:
            errors.append(f"{error.what}. {error.hint}".strip())
    if errors:
        raise RegistryError(errors[0], where=source)
    models = f" Known models: {', '.join(sorted(set(known)))}." if known else ""
    raise UsageError(
        f"{source!r} is not a bundle's folder, a run or a registered model",
        hint=f"`ftkit runs` lists the runs, `ftkit models` the models.{models}",
    )


def _fetched(registry: Registry, number: str) -> Bundle:
    version = _version(registry, number)
    folder = files.home() / "models" / registry.model / version.version
    try:
        stored = verify(folder / "bundle")
        if stored.hash == version.bundle_hash:
            return stored
    except BundleError:
        pass  # not fetched yet, or damaged since
    with files.atomic_folder(folder) as partial:
        fetched = call(Registry.fetch, registry, version.version, partial / "fetched")
        fetched.rename(partial / "bundle")
    return verify(folder / "bundle")


def _version(registry: Registry, number: str) -> Version:
    versions = {each.version: each for each in call(Registry.versions, registry)}
    if number:
        if number in versions:
            return versions[number]
        hint = f"There are versions {', '.join(sorted(versions))}." if versions else "It has no versions yet."
        raise UsageError(f"the model {registry.model!r} has no version {number!r}", hint=hint)
    if champion := call(Registry.champion, registry):
        return champion
    raise UsageError(
        f"the model {registry.model!r} has no champion yet",
        hint=f"Name a version: {registry.model}:{next(iter(versions), '1')}.",
    )
