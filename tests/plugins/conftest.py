"""A folder in which a recipe uses odd components of every kind, installed like any plugin."""

from __future__ import annotations

from collections.abc import Iterator
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
