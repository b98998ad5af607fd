"""One recipe on every deployment target there is, by one word: the same events, the same answers, the same record.

A target is a row of `TARGETS`: a context manager that brings up what stands for the target on this machine, and yields the options that
the deployer needs there. Beside the name and these options, the recipes are equal.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from ftkit import events
from ftkit.bundle import bundle as bundles
from ftkit.errors import DeployError
from ftkit.runner import run
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD

ROOT = Path(__file__).parents[1]
Options = Mapping[str, Any]
Target = Callable[[Path, pytest.FixtureRequest], AbstractContextManager[Options]]

OF_CHANCE = ("TrialSampled", "DeploymentJudged", "TrafficMeasured", "Noticed")
"""Events that depend on how long something took, or on what a target can count of its requests."""

REQUESTS: tuple[dict[str, Any], ...] = (
    {"data": [{"text": GOOD}, {"text": BAD}]},
    {"data": [{"text": "größer, 日本語, 😀"}], "scores": True},
    {"data": []},
    {"data": [{"text": 7}]},
    {"data": [{"txt": "sturdy"}]},
    {"dta": []},
)


@contextmanager
def local(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """This machine."""
    yield {"threads": 1}


@contextmanager
def ray_serve(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """A cluster of Ray on this machine."""
    pytest.importorskip("ray")
    import filelock
    from ftkit_ray.serve.cluster import OwnCluster, leave

    root = request.getfixturevalue("tmp_path_factory").getbasetemp()
    lock = filelock.FileLock((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "ray.lock")
    with lock, pytest.MonkeyPatch.context() as patch, socket.socket() as taken:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        own = OwnCluster(folder)
        try:
            path = {"PYTHONPATH": os.environ["PYTHONPATH"]}
            yield {
                "address": own.started(),
                "port": port,
                "storage": str(folder / "storage"),
                "cpus": 0.2,
                "environment": path,
            }
        finally:
            leave()
            own.stop()


@contextmanager
def managed_endpoint(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """Azure on this machine, with Microsoft's scoring server."""
    pytest.importorskip("azure.ai.ml")
    from ftkit_azureml import client

    azure = request.getfixturevalue("azure_scoring")
    request.getfixturevalue("azure_folder")
    client.forget()
    yield {}
    azure.operations.wait()
    client.forget()


@contextmanager
def sagemaker(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """AWS on this machine: moto, and containers as processes."""
    from tests.aws.fixtures import loopback

    with loopback(folder):
        from tests.aws.aws import OPTIONS

        yield OPTIONS


@contextmanager
def kserve(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """A cluster with KServe on this machine: its interfaces, and servers as processes."""
    pytest.importorskip("kubernetes")
    from tests.kserve.loopback import cluster

    with cluster(folder) as loopback:
        yield loopback.options


@contextmanager
def container(folder: Path, request: pytest.FixtureRequest) -> Iterator[Options]:
    """A stand-in for docker on the path; no packages are pinned."""
    pytest.importorskip("ftkit_container")
    from ftkit.bundle import requirements

    programs = folder / "bin"
    (folder / "stand-in").mkdir(parents=True)
    programs.mkdir()
    program = programs / "docker"
    stand_in = ROOT / "plugins" / "ftkit-container" / "tests" / "stand_in.py"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        patch.setenv("STAND_IN", str(folder / "stand-in"))
        patch.setattr(requirements, "needed", lambda _: requirements.Distributions(("numpy==2.0",)))
        yield {"threads": 1}


TARGETS: dict[str, Target] = {
    "local": local,
    "ray-serve": ray_serve,
    "managed-endpoint": managed_endpoint,
    "sagemaker": sagemaker,
    "kserve": kserve,
    "container": container,
}


@dataclass(frozen=True)
class Happened:
    """What two runs of a recipe did on a target: a first model, and one that takes over from it by a canary."""

    events: Sequence[object]
    answers: Sequence[object]
    records: Sequence[object]
    deployments: int


@pytest.fixture(scope="module")
def here() -> dict[str, Happened]:
    """What happened on this machine, once it is known."""
    return {}


def carried_out(target: str, folder: Path, request: pytest.FixtureRequest) -> Happened:
    """Run the recipe twice on a target, and stop the endpoint."""
    told: list[object] = []
    answers: list[object] = []
    records: list[object] = []
    with toys.install(folder / "plugins"), TARGETS[target](folder / target, request) as options:
        deploy = {"use": target, "endpoint": "all-targets", **options}
        plan = None
        try:
            for seed in (7, 8):
                emitted: list[events.Event] = []
                settings = {
                    "seed": seed,
                    "search.trials": 1,
                    "promote": [{"use": "metric-floor", "floor": 0.6}],
                    "rollout": {"bake": 0.0, "poll": 0.05, "canary": [50]},
                    "deploy": deploy,
                }
                plan = toys.plan(folder, settings)
                outcome = run(plan, emitted.append)
                assert plan.deploy is not None and outcome.endpoint is not None
                assert outcome.endpoint.traffic == {outcome.deployment: 100}
                told += shown(emitted, str(outcome.deployment))
                answers += [answered(plan.deploy, each) for each in REQUESTS]
                record = bundles.verify(outcome.bundle).record
                assert record is not None
                own = ("bundle", "run", "recipe", "at")
                values = {name: value for name, value in dataclasses.asdict(record).items() if name not in own}
                records.append({**values, "plugins": sorted(values["plugins"])})
            after = plan.deploy.describe() if plan and plan.deploy else None
            return Happened(told, answers, records, len(after.deployments) if after else 0)
        finally:
            if plan is not None and plan.deploy is not None:
                plan.deploy.stop()


def shown(emitted: Sequence[events.Event], deployment: str) -> list[object]:
    """Events in their order, without times and names: several of the same in a row count once."""
    told: list[object] = []
    for event in emitted:
        match event:
            case events.DeploymentChanged():
                if event.step != "is starting":
                    told.append((event.step, "new" if event.deployment == deployment else "old"))
            case events.TrafficMoved():
                told.append({"new" if name == deployment else "old": share for name, share in event.shares.items()})
            case _ if type(event).__name__ not in OF_CHANCE:
                told.append(type(event).__name__)
    return [each for each, _ in groupby(told)]


def answered(deployer: Any, request: Mapping[str, Any]) -> object:
    """The answer to a request, or why there is none."""
    try:
        return deployer.invoke(request)
    except DeployError as error:
        return error.what


def test_every_deployer_of_the_repository_has_a_row() -> None:
    from ftkit.bundled_plugins import _offers
    from ftkit.plugins import load

    bundled = set(_offers())
    assert {name for name in load().names("deployers") if name in bundled} <= set(TARGETS)


@pytest.mark.parametrize("target", [each for each in TARGETS if each != "local"])
def test_one_word_of_a_recipe_chooses_the_target_and_nothing_else_is_different(
    target: str,
    here: dict[str, Happened],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if not here:
        here["local"] = carried_out("local", tmp_path / "here", request)
    expected, happened = here["local"], carried_out(target, tmp_path / "there", request)
    assert happened.events == expected.events
    assert happened.answers == expected.answers
    assert happened.records == expected.records
    assert happened.deployments == expected.deployments == 1
    assert ("retired", "old") in expected.events
    assert {"old": 50, "new": 50} in expected.events
