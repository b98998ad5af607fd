"""A stand-in for docker on the path, endpoints in a home of their own, and no packages to pin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ftkit_container.deployer import ContainerDeployer

from ftkit.bundle import requirements
from ftkit.testing import toys


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the stand-in's state, with the toys installed."""
    state, programs = tmp_path / "stand-in", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    program = programs / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("stand_in.py")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("STAND_IN", str(state))
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # What is needed is found and built by the core, whose tests hold it; building ftkit's wheel for every deployment takes minutes.
    monkeypatch.setattr(requirements, "needed", lambda _: requirements.Distributions(("numpy==2.0", "torch==2.6")))
    with toys.install(tmp_path / "plugins"):
        yield state


@pytest.fixture
def container_endpoint(containers: Path) -> Iterator[Callable[..., ContainerDeployer]]:
    """Makes deployers; every endpoint that a test started is stopped after it."""
    deployers: list[ContainerDeployer] = []

    def make(endpoint: str = "kit", **options: object) -> ContainerDeployer:
        deployers.append(ContainerDeployer(endpoint=endpoint, threads=1, **options))  # type: ignore[arg-type]
        return deployers[-1]

    yield make
    (containers / "down").unlink(missing_ok=True)
    for deployer in deployers:
        deployer.stop()
