"""What another machine must install to run components as this one does: exact pins, and wheels of what no index has.

A cloud's environment is made of the pins. Distributions that are installed from a folder of this machine (ftkit while it is
developed, a plugin of your own) have no release to pin, so wheels of them are sent. A generated script begins with `PREAMBLE`,
which makes the wheels beside it importable before anything else is imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ftkit.bundled_plugins import how_to_install, unpublished
from ftkit.disclosure import without_secrets
from ftkit.errors import PluginError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

WHEELS = "wheels"
"""The folder beside a generated script where `PREAMBLE` looks for wheels."""

PREAMBLE = """\
import json
import pathlib
import sys
import tempfile
import zipfile

_unpacked = tempfile.mkdtemp(prefix="ftkit-wheels-")
for _wheel in sorted(pathlib.Path(__file__).resolve().parent.glob("wheels/*.whl")):
    with zipfile.ZipFile(_wheel) as _opened:
        _opened.extractall(_unpacked)
        _about = next(_name for _name in _opened.namelist() if _name.endswith(".dist-info/METADATA"))
    _origin = json.dumps({"url": _wheel.as_uri(), "archive_info": {}})
    pathlib.Path(_unpacked, _about).with_name("direct_url.json").write_text(_origin)
sys.path.insert(0, _unpacked)
"""
"""The beginning of a script that is sent with wheels: it unpacks them and puts them first in the import path. They are pure Python,
which need not be installed.

Each gets the `direct_url.json` that an installer would write, so that a script which deploys can send the same wheels on.
"""


@dataclass(frozen=True)
class Source:
    """A distribution that is installed from this machine: the folder it is built from, or its wheel."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True)
class Distributions:
    """What some components need, and nothing else."""

    pins: tuple[str, ...]
    """Requirements that an index can fill, each of exactly one version, by name."""
    sources: tuple[Source, ...] = ()
    """The distributions that no index has, by name."""


def owners(components: Iterable[Any]) -> list[str]:
    """The distributions that offer these components, by name. Raises: PluginError for one that no distribution offers."""
    from ftkit import plugins

    by_class = {each.component: each.plugin for each in plugins.load().offers}
    names = set()
    for component in components:
        kind = component if isinstance(component, type) else type(component)
        name = by_class.get(kind, "").partition(" ")[0]
        if not name or not _installed(name):
            raise PluginError(
                f"{getattr(kind, 'name', kind.__name__)!r} comes from no installed distribution, so it cannot be installed elsewhere",
                hint="Give its plugin a pyproject.toml and install it: pip install -e FOLDER.",
            )
        names.add(name)
    return sorted(names)


def needed(roots: Iterable[str], provided: Collection[str] = ()) -> Distributions:
    """All distributions that these requirements (`ftkit[serving]`, `ftkit-bert`) need, in the versions installed on this machine.

    `provided` names distributions that the other machine has in its own versions or chooses itself. They, and what only they need,
    are left out.
    Raises: PluginError when something is not installed on this machine, or can neither be pinned nor built.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    left_out = {canonicalize_name(each) for each in provided}
    queue = [(Requirement(each), "") for each in roots]
    seen: dict[str, set[str]] = {}
    pins: dict[str, str] = {}
    sources: dict[str, Source] = {}
    while queue:
        requirement, required_by = queue.pop()
        name = canonicalize_name(requirement.name)
        if name in left_out or (name in seen and requirement.extras <= seen[name]):
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise PluginError(
                f"{requirement.name} is not installed" + (f", and {required_by} needs it" if required_by else ""),
                hint=how_to_install(str(requirement)),
            ) from None
        extras = seen.setdefault(name, set()) | requirement.extras
        seen[name] = extras
        origin = _pin_or_source(name, distribution)
        if isinstance(origin, Source):
            sources[name] = origin
        else:
            pins[name] = origin
        queue += [(each, name) for each in _requirements(distribution, extras)]
    return Distributions(
        tuple(pins[name] for name in sorted(pins)),
        tuple(sources[name] for name in sorted(sources)),
    )


def build(sources: Sequence[Source], folder: Path) -> list[Path]:
    """Build wheels into a folder; the same files give the same wheels. Raises: PluginError with the output of the build."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_copied(each, folder) if each.path.suffix == ".whl" else _built(each, folder) for each in sources]


def _pin_or_source(name: str, distribution: metadata.Distribution) -> str | Source:
    """A distribution as a pin, or as a source to build when it was installed from this machine. Raises: PluginError."""
    from urllib.request import url2pathname

    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin and unpublished(name):
        raise PluginError(
            f"{name} was installed by its name, and no index has it yet: another machine could not install it",
            hint=f"Install its wheel by path, which is then sent along: pip install DIST/{name.replace('-', '_')}-{distribution.version}-*.whl",
        )
    if not origin:
        # A local label such as +cpu names no release that every index has.
        return f"{name}=={distribution.version.partition('+')[0]}"
    if "vcs_info" in origin:
        return f"{name} @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    if not origin["url"].startswith("file:"):
        return f"{name} @ {origin['url']}"
    path = Path(url2pathname(urlsplit(origin["url"]).path))
    if path.suffix != ".whl" and not (path / "pyproject.toml").is_file():
        path = path / "pyproject.toml"  # so that the error names what is missing
    if not path.exists():
        raise PluginError(
            f"{name} was installed from this machine and cannot be built again: {path} is not there",
            hint="Install it from an index, or from a folder or wheel that stays.",
        )
    return Source(name, distribution.version, path)


def _requirements(distribution: metadata.Distribution, extras: Collection[str]) -> list[Requirement]:
    from packaging.requirements import Requirement

    requirements = [Requirement(each) for each in distribution.requires or ()]
    return [
        each
        for each in requirements
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def _built(source: Source, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if _has_build_requirements(source.path):
        command.append("--no-build-isolation")  # what builds it is installed, so that no index has to be asked
    with tempfile.TemporaryDirectory(prefix="ftkit-wheel-") as staging:
        ended = subprocess.run(
            [*command, "--wheel-dir", staging, str(source.path)],
            capture_output=True,
            text=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1577836800"},  # a fixed time in the archive
            check=False,
        )
        wheels = list(Path(staging).glob("*.whl"))
        if ended.returncode or len(wheels) != 1:
            output = without_secrets(ended.stderr or ended.stdout).strip()  # before it is cut
            raise PluginError(
                f"no wheel of {source.name} could be built:\n{output[-2000:]}",
                where=str(source.path),
                hint="Fix its pyproject.toml: `pip wheel --no-deps` must work there.",
            )
        return _checked(source, Path(shutil.move(wheels[0], folder / wheels[0].name)))


def _copied(source: Source, folder: Path) -> Path:
    return _checked(source, Path(shutil.copy(source.path, folder / source.path.name)))


def _checked(source: Source, wheel: Path) -> Path:
    """The wheel. Raises: PluginError when it has compiled parts: those are for this machine only and must be installed."""
    if not wheel.name.endswith("-none-any.whl"):
        raise PluginError(
            f"{source.name} holds compiled parts, so another machine cannot use its files as they are",
            where=str(source.path),
            hint="Install a release of it from an index, which can then be pinned.",
        )
    return wheel


def _has_build_requirements(folder: Path) -> bool:
    from packaging.requirements import Requirement

    table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = table.get("build-system", {}).get("requires", ["setuptools"])
    return all(_installed(Requirement(each).name) for each in requirements)


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
