"""Endpoints in folders of their own, with the small plugins that their servers need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftkit.bundle import Bundle
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle


@pytest.fixture
def endpoint_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, where server processes find the backbones `toy-words` and `unruly`."""
    plugins = tmp_path / "plugins"
    info = plugins / "unruly-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ftkit]\nunruly = unruly\n")
    shutil.copy(Path(__file__).with_name("unruly.py"), plugins)
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with toys.install(plugins):
        yield tmp_path / "home"


@pytest.fixture
def endpoint_unruly(tmp_path: Path) -> Callable[..., Bundle]:
    """Makes bundles of models that misbehave as told: see unruly.py."""

    def make(name: str, **behaviour: object) -> Bundle:
        return toy_bundle(tmp_path / name, use="unruly", beside={"behaviour.json": json.dumps(behaviour)})

    return make


@pytest.fixture
def endpoint_named(endpoint_home: Path) -> Iterator[Callable[..., object]]:
    """Makes deployers; every endpoint that a test brought up is taken down after it."""
    from ftkit_local.deployer import LocalDeployer

    def make(endpoint: str = "kit", **options: object) -> LocalDeployer:
        return LocalDeployer(endpoint=endpoint, threads=1, **options)  # type: ignore[arg-type]

    yield make
    for deployer in LocalDeployer.known():
        deployer.stop()
