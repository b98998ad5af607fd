"""The deployer `ray-serve` against the conformance kit, on a cluster of its own."""

import dataclasses
import os
import socket
import threading
import time
from collections import Counter

import httpx2
import pytest
from ftkit_ray.serve.cluster import OwnCluster, leave
from ftkit_ray.serve.deployer import RayServeDeployer

from ftkit.contracts import Measures, Measuring, capable
from ftkit.errors import DeployError
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle
from ftkit.testing.deployers import DeployerSuite


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """One cluster for all tests of this module."""
    folder = tmp_path_factory.mktemp("ray-serve")
    with pytest.MonkeyPatch.context() as patch, toys.install(folder / "plugins"):
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
        patch.setenv("OMP_NUM_THREADS", "1")
        own = OwnCluster(folder)
        yield own.started()
        leave()
        own.stop()


class TestRayServe(DeployerSuite):
    @pytest.fixture
    def component(self, address, port, tmp_path):
        return RayServeDeployer(
            endpoint="kit",
            address=address,
            port=port,
            storage=str(tmp_path / "storage"),
            cpus=0.2,
            environment={"PYTHONPATH": os.environ["PYTHONPATH"]},
        )


def test_no_request_is_lost_while_one_model_takes_over_from_another(deployer, tmp_path):
    """Callers ask all the time, through a canary step, the whole traffic, and the end of the old deployment."""
    blue, green = toy_bundle(tmp_path / "one", ("bad", "good")), toy_bundle(tmp_path / "two", ("poor", "fine"))
    answers, stopped = [], threading.Event()
    url = deployer.describe().url

    def ask():
        headers = {"Authorization": f"Bearer {deployer.files.key()}"}
        with httpx2.Client(trust_env=False, headers=headers, timeout=30) as client:
            while not stopped.is_set():
                answer = client.post(url, json={"data": [{"text": GOOD}]})
                answers.append((answer.status_code, answer.headers.get("x-ftkit-deployment")))

    suite = DeployerSuite()
    suite.bring_up(deployer, "blue", blue)
    deployer.set_traffic({"blue": 100})
    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        suite.bring_up(deployer, "green", green)
        for shares in ({"blue": 50, "green": 50}, {"green": 100}):
            deployer.set_traffic(shares)
            seen = len(answers)
            while len(answers) < seen + 40:
                assert all(caller.is_alive() for caller in callers)
                time.sleep(0.01)
        seen = len(answers)
        deployer.delete("blue")
        assert {name for _, name in answers[seen:]} <= {"green"}
    finally:
        stopped.set()
        for caller in callers:
            caller.join()
    assert {status for status, _ in answers} == {200}
    assert {name for _, name in answers} == {"blue", "green"}
    assert capable(deployer, Measuring)
    wanted, ends = Counter(name for _, name in answers), time.monotonic() + 30
    while any(deployer.measures(600).get(name, Measures()).requests < count for name, count in wanted.items()):
        assert time.monotonic() < ends, "every request is counted by its deployment"
        time.sleep(0.2)
    green = deployer.measures(600)["green"]
    assert green.errors == {}
    assert 0 < green.latency["mean"] < 30
    assert sum(each.requests for each in green.windows) == green.requests


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"cpus": 500.0}, "no node of the cluster has 500 cores"),
        ({"address": "127.0.0.2:1"}, "cannot be reached"),
    ],
)
def test_what_can_never_work_is_refused_at_once(deployer, tmp_path, options, what):
    odd = dataclasses.replace(deployer, **options)
    with pytest.raises(DeployError, match=what) as refused:
        odd.create("blue", toy_bundle(tmp_path / "bundle").folder)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"auth": "none", "host": "0.0.0.0"}, "anybody who reaches"),
        ({"port": 0}, "port"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": 3, "max_replicas": 2}, "max_replicas"),
        ({"cpus": 0}, "cpus"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"endpoint": "a/b"}, "endpoint"),
    ],
)
def test_options_without_sense_are_refused(options, what):
    with pytest.raises(ValueError, match=what):
        RayServeDeployer(**{"endpoint": "kit", **options})


@pytest.fixture
def deployer(address, port, tmp_path):
    endpoint = RayServeDeployer(
        endpoint="swap",
        address=address,
        port=port,
        storage=str(tmp_path / "storage"),
        cpus=0.2,
        environment={"PYTHONPATH": os.environ["PYTHONPATH"]},
    )
    endpoint.prepare()
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="module")
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
