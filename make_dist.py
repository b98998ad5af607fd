"""Build the source distribution and the wheel of ftkit and of every plugin: `python make_dist.py dist`.

Each is built from a copy of its folder, into which goes what all of them share: the version of ftkit/_version.py, classifiers, the
licence, and pins. The distributions of this repository are released together and use each other's private modules, so each
requires the others in its own version. The wheel is built from the source distribution, which so can be built alone.
"""

from __future__ import annotations

import argparse
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import build
import tomli_w
from pyproject_hooks import quiet_subprocess_runner

ROOT = Path(__file__).parent

OF_THE_CORE = ("ftkit", "README.md", "CHANGELOG.md", "LICENSE", "hatch_build.py")
"""What of this folder is in the source distribution of ftkit itself, with the folders that pyproject.toml puts into the package."""

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tests", "build", "dist", "*.egg-info", "*.so")
"""What of a plugin's folder is in no source distribution."""

METADATA = "2.4"
"""The version of the metadata: the newest that indexes and twine read."""


class NotReady(Exception):
    """Why a distribution cannot be released, in a sentence."""


def folders() -> dict[str, Path]:
    """The folder of every distribution of this repository, by name: ftkit first."""
    plugins = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
    return {str(_project(folder)["name"]): folder for folder in (ROOT, *plugins)}


def version() -> str:
    """The version of ftkit and of all its plugins."""
    return str(runpy.run_path(str(ROOT / "ftkit" / "_version.py"))["__version__"])


def make(into: Path) -> list[Path]:
    """Build every distribution into a folder; returns the files. Raises: NotReady for one that lacks what a release needs."""
    into.mkdir(parents=True, exist_ok=True)
    made = []
    for name, folder in folders().items():
        with tempfile.TemporaryDirectory(prefix="ftkit-dist-") as staging:
            source, unpacked = Path(staging, "source"), Path(staging, "unpacked")
            copy(folder, source)
            sdist = Path(_built(source, "sdist", into))
            with tarfile.open(sdist) as archive:
                archive.extractall(unpacked, filter="data")
            wheel = Path(_built(next(unpacked.iterdir()), "wheel", into))
        check(name, wheel)
        made += [sdist, wheel]
    return made


def copy(folder: Path, destination: Path) -> None:
    """Copy a distribution's folder, with what all distributions share."""
    if folder == ROOT:
        destination.mkdir()
        for name in (*OF_THE_CORE, *_hatch(ROOT)["build"]["targets"]["wheel"]["force-include"]):
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, destination / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, destination / name)
        _write_list_of_plugins(destination / "ftkit")
    else:
        shutil.copytree(folder, destination, ignore=LEFT_OUT)
        shutil.copy(ROOT / "LICENSE", destination / "LICENSE")
    table = completed(_read(folder))
    (destination / "pyproject.toml").write_text(tomli_w.dumps(table), encoding="utf-8")


def completed(table: Mapping[str, Any]) -> dict[str, Any]:
    """The pyproject.toml of a distribution with the version, the classifiers and the pins that all of them share."""
    project = {key: value for key, value in table["project"].items() if key != "dynamic"}
    shared = {"version": version(), "classifiers": _project(ROOT)["classifiers"], "license-files": ["LICENSE"]}
    extras = project.get("optional-dependencies", {})
    pinned = {
        "dependencies": _pinned(project.get("dependencies", ()), project["name"]),
        "optional-dependencies": {extra: _pinned(each, project["name"]) for extra, each in extras.items()},
    }
    hatch = {key: value for key, value in table["tool"]["hatch"].items() if key != "version"}
    targets = hatch["build"]["targets"]
    for target in ("sdist", "wheel"):
        targets[target] = {"core-metadata-version": METADATA, **targets.get(target, {})}
    return {
        "build-system": table["build-system"],
        "project": {**project, **shared, **{key: value for key, value in pinned.items() if value}},
        "tool": {"hatch": hatch},
    }


def check(name: str, wheel: Path) -> None:
    """Check that a wheel has what a release needs. Raises: NotReady."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (about,) = (each for each in names if each.endswith(".dist-info/METADATA"))
        metadata = archive.read(about).decode()
    headers, _, readme = metadata.partition("\n\n")
    missing = [what for what, there in _needed(names, headers, readme) if not there]
    if missing:
        raise NotReady(f"{name}: its wheel is without {' and '.join(missing)}")


def _needed(names: list[str], headers: str, readme: str) -> Iterator[tuple[str, bool]]:
    yield "a licence file", any(re.search(r"\.dist-info/licenses/LICENSE$", each) for each in names)
    yield "a licence in its metadata", "\nLicense-Expression: " in headers
    yield "classifiers", "\nClassifier: " in headers
    yield "a summary", "\nSummary: " in headers
    yield "a README", bool(readme.strip())
    yield "py.typed, which says that it has types", any(each.endswith("/py.typed") for each in names)


def _project(folder: Path) -> dict[str, Any]:
    return dict(_read(folder)["project"])


def _hatch(folder: Path) -> dict[str, Any]:
    return dict(_read(folder)["tool"]["hatch"])


def _read(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def _pinned(requirements: list[str], owner: str) -> list[str]:
    """Requirements, those of this repository's other distributions in this version."""
    others = folders().keys() - {owner}
    return [
        f"{each}=={version()}"
        if re.fullmatch(r"[\w-]+(\[[\w,-]+\])?", each) and each.partition("[")[0] in others
        else each
        for each in requirements
    ]


def _write_list_of_plugins(package: Path) -> None:
    """Put the list of the plugins' components into the package, since its source distribution has no plugins to read."""
    import json

    module = runpy.run_path(str(ROOT / "ftkit" / "bundled_plugins.py"))
    offers = module["offered"](ROOT / "plugins")
    (package / module["LIST"]).write_text(json.dumps(offers, indent=1) + "\n", encoding="utf-8")


def _built(folder: Path, kind: build.Distribution, into: Path) -> str:
    return build.ProjectBuilder(folder, runner=quiet_subprocess_runner).build(kind, into)


def main() -> None:
    """Build all, and let twine check what an index would show of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; older ones are removed")
    folder = parser.parse_args().folder
    for pattern in ("ftkit*.whl", "ftkit*.tar.gz"):
        for old in folder.glob(pattern):
            old.unlink()
    try:
        made = make(folder)
    except NotReady as error:
        sys.exit(f"error: {error}")
    sys.exit(
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, made)], check=False).returncode
    )


if __name__ == "__main__":
    main()
