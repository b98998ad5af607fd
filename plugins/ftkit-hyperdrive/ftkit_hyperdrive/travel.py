"""What goes to Azure with a pipeline: the recipe, the scripts of its steps, local files it names, and code that no index has.

    SNAPSHOT/
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
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import distributions, files, steps
from ftkit.errors import StageError
from ftkit.options import Mistake

if TYPE_CHECKING:
    from ftkit.plan import Plan
    from ftkit_hyperdrive.platform import HyperDrive

CLIENT_ONLY = ("azureml-pipeline-steps", "azureml-pipeline-core", "azureml-train-core")
"""Parts of the SDK that build pipelines; a step needs azureml-core alone."""

_SCRIPT = """{preamble}
from ftkit_hyperdrive import step  # noqa: E402  # from the wheels

if __name__ == "__main__":
    sys.exit(step.{verb}(pathlib.Path(__file__).resolve().parent))
"""


@dataclass(frozen=True)
class Luggage:
    """What goes to Azure: a folder, and the requirements of the environment."""

    folder: Path
    pins: tuple[str, ...]
    wheels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def needs(plan: Plan) -> distributions.Distributions:
    """The distributions that the steps use, as they are installed here. Raises: PluginError."""
    there = [plan.dataset, plan.backbone, *plan.promote, plan.platform]
    left = steps.travelling(plan)
    there += [] if plan.registry is None or "registry.use" in left else [plan.registry]
    there += [] if plan.deploy is None or "deploy.use" in left else [plan.deploy]
    return distributions.needed([*distributions.owners(there), "ftkit[serving]"], provided=CLIENT_ONLY)


def local_files(plan: Plan, platform: HyperDrive) -> dict[str, Path]:
    """Files and folders of this machine that the recipe names, by option; those that a registered Dataset replaces left out."""
    found: dict[str, Path] = {}
    components: dict[str, Any] = {"dataset": plan.dataset, "backbone": plan.backbone}
    for section, component in components.items():
        for field in fields(component):
            key, value = f"{section}.{field.name}", getattr(component, field.name)
            named = isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute())
            if named and key not in platform.data:
                found[key] = Path(value)
    return found


def missing(plan: Plan, platform: HyperDrive) -> list[Mistake]:
    """Options of `data` that do not exist, and files of the recipe that are nowhere."""
    found = []
    for key in platform.data:
        section, _, option = key.partition(".")
        component: Any = getattr(plan, section)
        if option not in {field.name for field in fields(component)}:
            said = f"{component.name!r} has no option {option!r} that a Dataset could stand for"
            found.append(Mistake(("run", "data"), said, f"`ftkit options {component.name}` lists its options."))
    for key, path in local_files(plan, platform).items():
        if not path.exists():
            mend = f'Mend the path, or name a registered Dataset: run.data = {{ "{key}" = "NAME" }}.'
            found.append(Mistake(tuple(key.split(".")), f"there is no {path} to take along", mend))
    return found


def pack(plan: Plan, platform: HyperDrive, folder: Path) -> Luggage:
    """Fill an empty folder. Raises: PluginError; StageError when it is larger than the platform allows."""
    needed = needs(plan)
    wheels = distributions.build(needed.sources, folder / distributions.WHEELS)
    there = {}
    for key, path in local_files(plan, platform).items():
        there[key] = f"files/{key}/{path.name}"
        _copy(path, folder / there[key])
    files.write_text(folder / "recipe.toml", plan.text)
    files.write_json(
        folder / "step.json", {"overrides": steps.travelling(plan), "files": there, "left": steps.left_over(plan)}
    )
    for verb in ("trial", "decide", "deploy"):
        files.write_text(folder / f"{verb}.py", _SCRIPT.format(preamble=distributions.PREAMBLE, verb=verb))
    luggage = Luggage(folder, needed.pins, tuple(path.name for path in wheels))
    if luggage.size > platform.snapshot_mb * 2**20:
        parts = sorted(_sizes(folder).items(), key=lambda each: -each[1])[:3]
        said = ", ".join(f"{name} {size / 2**20:.1f} MB" for name, size in parts)
        raise StageError(
            f"the steps' files come to {luggage.size / 2**20:.1f} MB, more than snapshot_mb = {platform.snapshot_mb:g}",
            where=said,
            mend="Register large data as a Dataset and name it in run.data, or raise run.snapshot_mb (300 at most).",
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
            parts = path.relative_to(folder).parts
            name = "/".join(parts[:2])
            found[name] = found.get(name, 0) + path.stat().st_size
    return found
