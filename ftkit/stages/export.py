"""A run's model as a folder that can be deployed by hand, written by a deployer that supports it."""

from __future__ import annotations

from pathlib import Path

from ftkit import plugins
from ftkit.bundle.bundle import cleared
from ftkit.bundled_plugins import able
from ftkit.contracts import NATIVE, EngineChoosing, Packaging, capable
from ftkit.errors import PluginError, UsageError
from ftkit.files import atomic_folder
from ftkit.plugins.calls import call
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs import status


def export(run: str, out: Path | None = None, target: str | None = None) -> Path:
    """Write the folder for a run's model, whole or not at all, and return its path; by default `RUN-TARGET`.

    `target` names the deployer that writes it: by default the recipe's own, or the only installed one that supports it.
    Raises: UsageError when the folder exists already, the run has no model, or a target must be named; DeployError for a model that was not let through;
    PluginError when no installed deployer supports it.
    """
    ledger = ledgers.find(run)
    if not (ledger.folder / "bundle").is_dir():
        raise UsageError(**status.no_model(ledger))
    plan = loader.loads(ledger.recipe)
    deployer = _deployer(target, plan.deploy.name if plan.deploy else None)
    engine = call(EngineChoosing.engine, plan.deploy) if capable(plan.deploy, EngineChoosing) else NATIVE
    bundle = cleared(ledger.folder / "bundle", engine)
    folder = (out or Path(f"{ledger.run}-{deployer.name}")).expanduser().absolute()  # type: ignore[attr-defined]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "the folder exists already and is not replaced", where=str(folder), hint="Name another one: --out DIR."
        )
    with atomic_folder(folder) as partial:
        call(Packaging.package, deployer, bundle.folder, partial, engine)  # type: ignore[misc]  # a class method
    return folder


def _deployer(target: str | None, recipe_deployer: str | None) -> type[Packaging]:
    installed = plugins.load()
    packaging = {
        name: deployer
        for name in installed.names("deployers")
        if issubclass(deployer := installed.find("deployers", name), Packaging)
    }
    if target is not None:
        chosen = installed.find("deployers", target)
        if target not in packaging:
            raise UsageError(
                f"the deployer {target!r} writes no folder to deploy by hand",
                hint=f"These do: {', '.join(packaging) or 'none that is installed'}.",
            )
        return chosen
    if not packaging:
        raise PluginError(
            "no installed deployer writes a folder to deploy by hand",
            hint=installed.advice("deployers", able("package")[0]),
        )
    if recipe_deployer not in packaging and len(packaging) > 1:
        raise UsageError(
            "several deployers write a folder to deploy by hand, and the recipe names none of them",
            hint=f"Name one: --for {' or '.join(packaging)}.",
        )
    return packaging.get(recipe_deployer or "") or next(iter(packaging.values()))
