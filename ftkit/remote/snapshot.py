"""The folder of files that the steps of a pipeline run with: the recipe, the scripts, local files, and code that no index has.

    FOLDER/
      recipe.toml                the recipe as it was resolved here
      step.json                  what the steps must know besides: overrides, and what is left to the client
      trial.py decide.py …       one script for each step
      wheels/                    ftkit and plugins that are installed from a folder of this machine
      files/dataset.path/…       files that the recipe names, by option

Everything else is pinned in the environment. What no step uses is in neither.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.bundle import requirements
from ftkit.contracts import Requiring, capable
from ftkit.contracts.plan import Plan
from ftkit.errors import StageError
from ftkit.plugins.calls import call
from ftkit.remote.decision import ClientPart, client_part, step_overrides

_RECIPE, _STEP = "recipe.toml", "step.json"


@dataclass(frozen=True)
class Snapshot:
    """What a service is given: a folder, and the requirements of the environment."""

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
        including = f" with {wheels} wheel{'s' * (wheels != 1)}" if wheels else ""
        return f"The steps' files are {self.size / 2**20:.1f} MB{including}; {len(self.pins)} packages are pinned."


@dataclass(frozen=True)
class Contents:
    """What a step reads from its snapshot."""

    recipe: str
    """The recipe as the client has it."""
    overrides: Mapping[str, Any]
    """What stands for the recipe's options there: where its files lie, and what no step can use."""
    left: ClientPart
    """What is left to the client."""


def needs(plan: Plan, client_only: Collection[str] = ()) -> requirements.Distributions:
    """The distributions that the steps use, as they are installed here, without those that only a client needs. Raises: PluginError."""
    left_out = step_overrides(plan)
    components = [plan.dataset, *plan.every_backbone, *plan.promote, plan.platform]
    components += [] if plan.registry is None or "registry.use" in left_out else [plan.registry]
    components += [] if plan.deploy is None or "deploy.use" in left_out else [plan.deploy]
    further = [name for each in components if capable(each, Requiring) for name in call(Requiring.requires, each)]
    return requirements.needed([*requirements.owners(components), "ftkit[serving]", *further], provided=client_only)


def local_files(plan: Plan, replaced: Collection[str]) -> dict[str, list[Path]]:
    """Files, folders and patterns of this machine that the recipe names, by option, without options that the service replaces."""
    paths: dict[str, list[Path]] = {}
    components: dict[str, Any] = {"dataset": plan.dataset, "backbone": plan.backbone}
    for section, component in components.items():
        for field in fields(component):
            key, value = f"{section}.{field.name}", getattr(component, field.name)
            values = value if isinstance(value, list | tuple) else [value]
            local = [Path(each) for each in values if isinstance(each, Path) or (each is value and _is_absolute(each))]
            if local and key not in replaced:
                paths[key] = local
    return paths


def pack(
    plan: Plan,
    folder: Path,
    needed: requirements.Distributions,
    *,
    scripts: Mapping[str, str],
    replaced: Collection[str],
    most_mb: float,
    hint: str,
) -> Snapshot:
    """Fill an empty folder with what the steps need; `scripts` are texts by file name, which may import what the wheels hold.

    Raises: PluginError; StageError with this hint when the folder is larger than `most_mb`.
    """
    wheels = requirements.build(needed.sources, folder / requirements.WHEELS)
    copies: dict[str, str | list[str]] = {}
    for key, paths in local_files(plan, replaced).items():
        chosen = sorted({each for path in paths for each in files.matching(path) or [path]})
        folders = [f"{number:06}/" if len(chosen) > 1 else "" for number in range(len(chosen))]  # sorted there as here
        names = [f"files/{key}/{each}{path.name}" for each, path in zip(folders, chosen, strict=True)]
        for path, name in zip(chosen, names, strict=True):
            _copy(path, folder / name)
        copies[key] = names[0] if len(names) == 1 else names
    files.write_text(folder / _RECIPE, plan.text)
    files.write_json(folder / _STEP, {"overrides": step_overrides(plan), "files": copies, "left": client_part(plan)})
    for name, script in scripts.items():
        files.write_text(folder / name, f"{requirements.PREAMBLE}\n{script}")
    packed = Snapshot(folder, needed.pins, tuple(path.name for path in wheels))
    if packed.size > most_mb * 2**20:
        largest = sorted(_sizes(folder).items(), key=lambda each: -each[1])[:3]
        raise StageError(
            f"the steps' files come to {packed.size / 2**20:.1f} MB, more than snapshot_mb = {most_mb:g}",
            where=", ".join(f"{name} {size / 2**20:.1f} MB" for name, size in largest),
            hint=hint,
        )
    return packed


def read(folder: Path) -> Contents:
    """What a step finds in its folder."""
    step = json.loads((folder / _STEP).read_text(encoding="utf-8"))
    copies = {
        key: str(folder / name) if isinstance(name, str) else [str(folder / each) for each in name]
        for key, name in step["files"].items()
    }
    overrides = {**step["overrides"], **copies}
    return Contents((folder / _RECIPE).read_text(encoding="utf-8"), overrides, step["left"])


def python() -> str:
    """The version of Python in the environment: that of this process."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, to)
    else:
        shutil.copy2(path, to)


def _sizes(folder: Path) -> Mapping[str, int]:
    """Bytes by what a reader knows: each wheel, and all files of an option."""
    sizes: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = "/".join(path.relative_to(folder).parts[:2])
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return sizes
