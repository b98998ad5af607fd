"""What goes to a service with a pipeline: the recipe, the scripts of its steps, local files it names, and code that no index has.

    FOLDER/
      recipe.toml                the recipe as it was resolved here
      step.json                  what the steps are to know beside it
      trial.py decide.py deploy.py
      wheels/                    ftkit and plugins that are installed from a folder of this machine
      files/dataset.path/…       files that the recipe names, by option

Everything else is pinned in the environment, and what the steps do not use is in neither.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.bundle import requirements
from ftkit.contracts import Requiring
from ftkit.contracts.plan import Plan
from ftkit.errors import StageError
from ftkit.options import Mistake
from ftkit.remote.decision import client_part, step_overrides


@dataclass(frozen=True)
class Luggage:
    """What goes to a service: a folder, and the requirements of the environment."""

    folder: Path
    pins: tuple[str, ...]
    wheels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def sentence(self) -> str:
        """What is uploaded, as a person reads it."""
        wheels = len(self.wheels)
        with_ = f" with {wheels} wheel{'s' * (wheels != 1)}" if wheels else ""
        return f"The steps' files are {self.size / 2**20:.1f} MB{with_}; {len(self.pins)} packages are pinned."


def needs(plan: Plan, left_out: Collection[str] = ()) -> requirements.Distributions:
    """The distributions that the steps use, as they are installed here, but those that only a client needs. Raises: PluginError."""
    there = [plan.dataset, plan.backbone, *plan.promote, plan.platform]
    out = step_overrides(plan)
    there += [] if plan.registry is None or "registry.use" in out else [plan.registry]
    there += [] if plan.deploy is None or "deploy.use" in out else [plan.deploy]
    further = [each for component in there if isinstance(component, Requiring) for each in component.requires]
    return requirements.needed([*requirements.owners(there), "ftkit[serving]", *further], provided=left_out)


def local_files(plan: Plan, replaced: Collection[str]) -> dict[str, Path]:
    """Files and folders of this machine that the recipe names, by option; those that the service has itself left out."""
    found: dict[str, Path] = {}
    components: dict[str, Any] = {"dataset": plan.dataset, "backbone": plan.backbone}
    for section, component in components.items():
        for field in fields(component):
            key, value = f"{section}.{field.name}", getattr(component, field.name)
            named = isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute())
            if named and key not in replaced:
                found[key] = Path(value)
    return found


def missing(plan: Plan, data: Mapping[str, str], noun: str = "Dataset") -> list[Mistake]:
    """Options of `run.data` that do not exist, and files of the recipe that are nowhere; `noun` is what `data` names."""
    found = []
    for key in data:
        section, _, option = key.partition(".")
        component: Any = getattr(plan, section)
        if option not in {field.name for field in fields(component)}:
            said = f"{component.name!r} has no option {option!r} that a {noun} could stand for"
            found.append(Mistake(("run", "data"), said, f"`ftkit options {component.name}` lists its options."))
    for key, path in local_files(plan, data).items():
        if not path.exists():
            hint = f'Fix the path, or name a registered {noun}: run.data = {{ "{key}" = "NAME" }}.'
            found.append(Mistake(tuple(key.split(".")), f"there is no {path} to take along", hint))
    return found


def pack(
    plan: Plan,
    folder: Path,
    needed: requirements.Distributions,
    *,
    scripts: Mapping[str, str],
    replaced: Collection[str],
    most_mb: float,
    hint: str,
) -> Luggage:
    """Fill an empty folder with what the steps need; `scripts` are texts by file name, which may import what is in the wheels.

    Raises: PluginError; StageError when it is larger than `most_mb`, with how to fix that.
    """
    wheels = requirements.build(needed.sources, folder / requirements.WHEELS)
    there = {}
    for key, path in local_files(plan, replaced).items():
        there[key] = f"files/{key}/{path.name}"
        _copy(path, folder / there[key])
    files.write_text(folder / "recipe.toml", plan.text)
    files.write_json(folder / "step.json", {"overrides": step_overrides(plan), "files": there, "left": client_part(plan)})
    for name, script in scripts.items():
        files.write_text(folder / name, f"{requirements.PREAMBLE}\n{script}")
    luggage = Luggage(folder, needed.pins, tuple(path.name for path in wheels))
    if luggage.size > most_mb * 2**20:
        parts = sorted(_sizes(folder).items(), key=lambda each: -each[1])[:3]
        said = ", ".join(f"{name} {size / 2**20:.1f} MB" for name, size in parts)
        raise StageError(
            f"the steps' files come to {luggage.size / 2**20:.1f} MB, more than snapshot_mb = {most_mb:g}",
            where=said,
            hint=hint,
        )
    return luggage


def python() -> str:
    """The Python of the environment: this one's."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, to)
    else:
        shutil.copy2(path, to)


def _sizes(folder: Path) -> Mapping[str, int]:
    """Bytes by what a reader knows: each wheel, and all files of an option."""
    found: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = "/".join(path.relative_to(folder).parts[:2])
            found[name] = found.get(name, 0) + path.stat().st_size
    return found
