"""A folder in which a recipe uses odd components of every kind, installed like any plugin."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from ftkit.testing import toys
from tests.odd_components import RECIPE


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "odd.toml").write_text(RECIPE)
    info = tmp_path / "ftkit_odd-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-odd\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[ftkit]\nodd = tests.odd_components\n")
    with toys.install(tmp_path):
        yield tmp_path


SPACE = """
from dataclasses import dataclass
from typing import ClassVar
from ftkit import hookimpl
from ftkit.contracts.space import Choice

@dataclass(frozen=True)
class Space:
    "A space."
    name: ClassVar[str] = "NAME"

    def dimensions(self):
        return {"epochs": Choice((1, 2))}

@hookimpl
def search_spaces():
    return [Space]
"""
"""A plugin with one search space, which has the name of its module."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., EntryPoint]]:
    """Puts a distribution with one plugin into a folder of the import path, as an installer does; returns its entry point."""
    sys.path.insert(0, str(tmp_path))

    def place(name: str, source: str = SPACE, api: str = "", **files: str) -> EntryPoint:
        module = f"{name.replace('-', '_')}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source.replace("NAME", module))
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        stated = f"[requires_ftkit_api]\n{api} = {module}\n" if api else ""
        (info / "entry_points.txt").write_text(f"[ftkit]\n{name} = {module}\n{stated}")
        for file, text in files.items():
            (info / f"{file}.json").write_text(text)
        importlib.invalidate_caches()
        (entry,) = entry_points(group="ftkit", module=module)
        return entry

    yield place
    sys.path.remove(str(tmp_path))
