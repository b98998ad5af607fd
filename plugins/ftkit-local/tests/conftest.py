"""Endpoints in folders of their own, with the small plugins that their servers need."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Endpoint
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle


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
    """Makes bundles of models that misbehave in a given way: see unruly.py."""

    def make(name: str, **behaviour: object) -> Bundle:
        return toy_bundle(tmp_path / name, use="unruly", beside={"behaviour.json": json.dumps(behaviour)})

    return make


@pytest.fixture
def endpoint_named(endpoint_home: Path) -> Iterator[Callable[..., LocalDeployer]]:
    """Makes deployers; every endpoint that a test started is stopped after it."""

    def make(endpoint: str = "kit", **options: object) -> LocalDeployer:
        deployers.append(LocalDeployer(endpoint=endpoint, threads=1, **options))  # type: ignore[arg-type]
        return deployers[-1]

    deployers: list[LocalDeployer] = []
    yield make
    for deployer in deployers:
        deployer.stop()


class Load:
    """Callers who send requests all the time; records their answers."""

    def __init__(self, endpoint: Endpoint, callers: int = 4) -> None:
        self.answers: list[tuple[int, str]] = []
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(callers)]

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self._endpoint.key}"}
        with httpx2.Client(trust_env=False, verify=False, headers=headers, timeout=30) as client:
            while not self._stop.is_set():
                answer = client.post(self._endpoint.url, json={"data": [{"text": GOOD}]})
                self.answers.append((answer.status_code, answer.headers.get("x-ftkit-deployment", "")))

    def wait(self, more: int, seconds: float = 30) -> None:
        """Until so many more requests were answered."""
        enough, ends = len(self.answers) + more, time.monotonic() + seconds
        while len(self.answers) < enough:
            assert time.monotonic() < ends, "the endpoint does not answer"
            assert any(thread.is_alive() for thread in self._threads), "every caller was cut off"
            time.sleep(0.01)

    @property
    def failures(self) -> list[tuple[int, str]]:
        return [each for each in self.answers if each[0] != 200]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def endpoint_load() -> type[Load]:
    """Constant load on an endpoint, as a context manager."""
    return Load


@pytest.fixture
def endpoint_ready() -> Callable[..., None]:
    """Waits until a deployment is ready."""

    def wait(deployer: LocalDeployer, deployment: str, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while (health := deployer.health(deployment)).state != "ready":
            assert time.monotonic() < ends, health
            time.sleep(0.05)

    return wait
