"""A rollout to a managed endpoint is judged by the metrics of Azure Monitor, as one on this machine is by its own counts."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from ftkit_azureml import ManagedEndpoint, measuring
from ftkit_local.deployer import LocalDeployer

from ftkit import plugins
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Deployer, Measuring, capable
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError
from ftkit.events import DeploymentChanged, DeploymentJudged, Event, TrafficMeasured, TrafficMoved
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import GOOD, toy_bundle

if TYPE_CHECKING:
    from tests.azure.azure import Azure

Make = Callable[..., ManagedEndpoint]
QUICK = Rollout(bake=0.0, poll=0.05)
UNRULY = Path(__file__).parents[2] / "ftkit-local" / "tests" / "unruly.py"


@pytest.fixture
def quick_monitor(azureml: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """Azure Monitor with seconds in place of minutes."""
    monkeypatch.setattr(measuring, "MINUTE", 1.0)
    monkeypatch.setattr(ManagedEndpoint, "delay", 1.5)
    azureml.monitor.finest, azureml.monitor.lag = 1, 0.3
    return azureml


@pytest.fixture
def unruly(azureml: Azure, azure_folder: Path, tmp_path: Path) -> Bundle:
    """A bundle whose model fails on the text `raise`, here and where deployments are served."""
    folder = azure_folder / "plugins"
    info = folder / "unruly-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ftkit]\nunruly = unruly\n")
    shutil.copy(UNRULY, folder)
    plugins.load.cache_clear()
    return toy_bundle(tmp_path / "green", use="unruly", beside={"behaviour.json": json.dumps({})})


@pytest.fixture
def on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDeployer]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    deployer = LocalDeployer(endpoint="kit-endpoint", threads=1)
    yield deployer
    deployer.stop()


@contextmanager
def asked(deployer: Deployer) -> Iterator[None]:
    """Callers who ask all the time; every third request is one on which the unruly model fails."""
    described = deployer.describe()
    assert described is not None
    key = described.key
    if isinstance(deployer, ManagedEndpoint):
        from tests.azure.v2.endpoints import KEY as key
    stop, number = threading.Event(), count()

    def ask() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                text = GOOD if next(number) % 3 else "raise"
                body = {"data": [{"text": text}]}
                session.post(described.url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def happened(events: list[Event]) -> list[str]:
    """What happened in a rollout, in order: several looks or reasons in a row count once."""
    names = {
        DeploymentChanged: lambda each: each.step,
        DeploymentJudged: lambda each: "looked at",
        TrafficMoved: lambda each: str(dict(each.shares)),
        TrafficMeasured: lambda each: "measured",
    }
    told = [names[type(each)](each) for each in events if type(each) in names]
    return [name for name, _ in groupby(each for each in told if each != "is starting")]


def test_a_canary_that_fails_is_rolled_back_on_azure_and_here_by_the_same_events(
    endpoints: Make, quick_monitor: Azure, unruly: Bundle, tmp_path: Path, on_this_machine: LocalDeployer
) -> None:
    blue = toy_bundle(tmp_path / "blue")
    settings = Rollout(bake=2.0, poll=0.2, canary=(50,), patience="90s", least_requests=40, slower=20)
    events: dict[str, list[Event]] = {}
    for deployer in (endpoints(), on_this_machine):
        assert capable(deployer, Measuring)
        roll_out(deployer, blue, "blue", QUICK, lambda _: None)
        events[deployer.name] = []
        with asked(deployer), pytest.raises(DeployError, match="of its requests, the old one 0"):
            roll_out(deployer, unruly, "green", settings, events[deployer.name].append)
        described = deployer.describe()
        assert described is not None
        assert [(each.name, each.traffic) for each in described.deployments] == [("blue", 100)]
    azure, local = events["managed-endpoint"], events["local"]
    assert happened(azure) == happened(local)
    assert happened(local) == [
        "created",
        "became ready",
        "passed the smoke test",
        "{'blue': 50, 'green': 50}",
        "looked at",
        "measured",
        "{'blue': 100}",
        "removed",
    ]
    (told,) = [each for each in azure if isinstance(each, TrafficMeasured)]
    green = told.measures["green"]
    assert green.errors["500"] >= 5
    assert set(green.latency) == {"mean", "p50", "p95"}
    assert sum(each.requests + each.failed for each in green.windows) == green.requests
    assert green.classes == {}, "Azure Monitor knows of no answers"


def test_metrics_are_whole_minutes_that_are_complete_and_no_older(
    endpoints: Make, azureml: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.azure.v2.scoring import Answered

    now = time.time() // 60 * 60 - 30
    monkeypatch.setattr(measuring, "time", lambda: now)
    azureml.scoring.answered += [
        Answered(now - ago, "kit-endpoint", "blue", status, model, 0.1 * number)
        for ago in range(30, 900, 60)
        for number, (status, model) in enumerate([(200, "200"), (424, "500"), (424, "422"), (408, ""), (503, "")])
    ]
    deployer = endpoints()
    measured = deployer.measures(600)["blue"]
    begins = [each.begins for each in measured.windows]
    assert begins == [now - 570 + 60 * number for number in range(6)], (
        "ten minutes, of which the last three are not complete"
    )
    assert measured.requests == 24
    assert measured.errors == {"500": 6, "408": 6, "503": 6}
    assert measured.width == 60
    assert deployer.measures(170) == {}
    assert not azureml.requests("GET", "microsoft.insights")[2:], "nothing is asked where nothing can be known"


def test_metrics_that_cannot_be_read_say_why(endpoints: Make, azureml: Azure) -> None:
    from tests.azure.messages import refusal

    azureml.fail("GET", "microsoft.insights", refusal(403, "AuthorizationFailed", "no access to metrics"), times=9)
    with pytest.raises(DeployError, match="kit-endpoint"):
        endpoints().measures(600)
