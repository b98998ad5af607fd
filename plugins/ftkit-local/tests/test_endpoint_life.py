"""An endpoint of real processes: it outlives its maker, restarts its servers, and loses no request in a rollout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.client import ask

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import GOOD, toy_bundle

Make = Callable[..., LocalDeployer]
Ready = Callable[..., None]
QUICK = Rollout(bake=0.2, poll=0.05)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "run" / "bundle")


def quiet(_: object) -> None:
    pass


def server(deployer: LocalDeployer, deployment: str) -> dict[str, Any]:
    deployments = ask(deployer.folder, "GET", "/status")["deployments"]
    return next(each for each in deployments if each["name"] == deployment)


def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "the condition was never met"
        time.sleep(0.02)


def test_a_switch_under_load_fails_no_request(endpoint_named: Make, endpoint_load: Any, bundle: Bundle) -> None:
    deployer = endpoint_named()
    endpoint = roll_out(deployer, bundle, "blue", QUICK, quiet)
    with endpoint_load(endpoint) as load:
        load.wait(20)
        roll_out(deployer, bundle, "green", Rollout(bake=0.3, poll=0.05, canary=(20,)), quiet)
        load.wait(20)
    assert load.failures == []
    assert {name for _, name in load.answers} == {"blue", "green"}
    assert {name for _, name in load.answers[-10:]} == {"green"}


def test_a_server_killed_under_load_is_replaced_by_its_neighbour_and_restarted(
    endpoint_named: Make, endpoint_ready: Ready, endpoint_load: Any, bundle: Bundle
) -> None:
    deployer = endpoint_named()
    endpoint = deployer.prepare()
    for name in ("one", "two"):
        deployer.create(name, bundle.folder)
    for name in ("one", "two"):
        endpoint_ready(deployer, name)
    deployer.set_traffic({"one": 50, "two": 50})
    shutil.rmtree(bundle.folder.parent)  # the run that made it is gone
    with endpoint_load(endpoint) as load:
        load.wait(20)
        os.kill(server(deployer, "one")["pid"], signal.SIGKILL)
        wait(lambda: server(deployer, "one")["restarts"] == 1)
        load.wait(20)
        endpoint_ready(deployer, "one")
        load.wait(20)
    assert load.failures == []
    assert {name for _, name in load.answers[-10:]} == {"one", "two"}


def test_a_lone_server_that_dies_on_a_request_is_restarted(
    endpoint_named: Make, endpoint_ready: Ready, endpoint_unruly: Callable[..., Bundle]
) -> None:
    deployer = endpoint_named()
    roll_out(deployer, endpoint_unruly("bundle"), "only", QUICK, quiet)
    with pytest.raises(DeployError, match="no deployment answers"):
        deployer.invoke({"data": [{"text": "die"}]})
    wait(lambda: server(deployer, "only")["restarts"] == 1)
    # Its status says so for a moment only, its front's log for good.
    log = deployer.folder.front_log.read_text()
    assert re.search(r"only: .*SIGKILL.*; it is being restarted \(attempt 1\)", log)
    endpoint_ready(deployer, "only")
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["good"]


def test_a_model_that_fails_on_a_text_answers_the_next(
    endpoint_named: Make, endpoint_unruly: Callable[..., Bundle]
) -> None:
    deployer = endpoint_named()
    roll_out(deployer, endpoint_unruly("bundle"), "only", QUICK, quiet)
    with pytest.raises(DeployError, match="RuntimeError"):
        deployer.invoke({"data": [{"text": "raise"}]})
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["good"]
    assert "the model cannot compute this text" in deployer.logs("only")


def test_an_endpoint_whose_front_was_killed_comes_back_as_it_was(
    endpoint_named: Make, endpoint_ready: Ready, bundle: Bundle
) -> None:
    """As after a restart of the machine."""
    deployer = endpoint_named()
    before = roll_out(deployer, bundle, "only", QUICK, quiet)
    orphan = psutil.Process(server(deployer, "only")["pid"])
    front = psutil.Process(ask(deployer.folder, "GET", "/status")["pid"])
    front.kill()
    wait(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
    described = deployer.describe()
    assert described is not None
    assert (described.url, described.traffic, described.deployments[0].state) == ("", {"only": 100}, "stopped")
    with pytest.raises(DeployError, match="not running"):
        deployer.invoke({"data": []})

    after = deployer.prepare()
    assert (after.url, after.key, after.traffic) == (before.url, before.key, before.traffic)
    endpoint_ready(deployer, "only")
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["good"]


def test_a_deployment_can_be_removed_while_the_front_is_gone(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named()
    roll_out(deployer, bundle, "only", QUICK, quiet)
    psutil.Process(ask(deployer.folder, "GET", "/status")["pid"]).kill()
    wait(lambda: deployer.describe().url == "")  # type: ignore[union-attr]
    deployer.delete("only")
    deployer.delete("only")
    assert deployer.describe() is None
    assert deployer.prepare().deployments == ()


def test_an_endpoint_outlives_the_process_and_the_session_that_made_it(endpoint_named: Make, bundle: Bundle) -> None:
    script = (
        "import sys; from pathlib import Path; from ftkit_local.deployer import LocalDeployer;"
        "from ftkit.contracts.settings import Rollout; from ftkit.stages.rollout import roll_out; from ftkit.bundle import bundle;"
        "roll_out(LocalDeployer(endpoint='kit', threads=1), bundle.verify(Path(sys.argv[1])), 'only',"
        "Rollout(bake=0, poll=0.05), lambda _: None)"
    )
    subprocess.run(
        [sys.executable, "-c", script, bundle.folder],
        check=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    deployer = endpoint_named()
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["good"]
    status = ask(deployer.folder, "GET", "/status")
    processes = [status["pid"], status["deployments"][0]["pid"]]
    assert len({os.getsid(0), *map(os.getsid, processes)}) == 3, "Ctrl-C in a terminal reaches neither"


def test_requests_in_flight_are_answered_before_a_deployment_goes(
    endpoint_named: Make, endpoint_unruly: Callable[..., Bundle]
) -> None:
    deployer = endpoint_named()
    slow = endpoint_unruly("slow", delay=0.5)
    roll_out(deployer, slow, "slow", QUICK, quiet)
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(deployer.invoke({"data": [{"text": GOOD}]})))
    caller.start()
    wait(lambda: server(deployer, "slow")["in_flight"] == 1)
    deployer.set_traffic({})
    deployer.delete("slow")
    caller.join(10)
    assert answers == [["good"]]
    assert "draining 1 requests" in deployer.folder.front_log.read_text()


def test_a_model_that_does_not_answer_in_time_is_answered_by_504(
    endpoint_named: Make, endpoint_unruly: Callable[..., Bundle]
) -> None:
    deployer = endpoint_named(request_timeout=0.3)
    bundle = endpoint_unruly("slow", delay=0.9)
    endpoint = deployer.prepare()
    deployer.create("slow", bundle.folder)
    wait(lambda: deployer.health("slow").state == "ready")
    headers = {"Authorization": f"Bearer {endpoint.key}", "x-ftkit-deployment": "slow"}
    answer = httpx2.post(endpoint.url, json={"data": [{"text": GOOD}]}, headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 504
    assert "0.3 s" in answer.json()["error"]


def test_a_deployment_that_hangs_while_it_loads_has_a_reason_and_can_be_removed(
    endpoint_named: Make, endpoint_unruly: Callable[..., Bundle]
) -> None:
    deployer = endpoint_named()
    deployer.prepare()
    deployer.create("stuck", endpoint_unruly("stuck", load="hang").folder)
    wait(lambda: "being loaded" in deployer.health("stuck").reason)
    pid = server(deployer, "stuck")["pid"]
    deployer.delete("stuck")
    assert not psutil.pid_exists(pid)
    assert deployer.prepare().deployments == ()


def test_a_full_queue_reaches_the_caller_as_429_and_is_no_error_of_the_server(
    endpoint_named: Make, endpoint_ready: Any, endpoint_unruly: Any, tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    deployer = endpoint_named(max_batch=1, max_waiting=1, probe_timeout=300)
    endpoint = deployer.prepare()
    deployer.create("busy", endpoint_unruly("model", hold=str(hold)).folder)
    endpoint_ready(deployer, "busy")
    deployer.set_traffic({"busy": 100})
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    post = partial(httpx2.post, endpoint.url, json={"data": [{"text": "hold"}]}, headers=headers, timeout=60)
    with futures.ThreadPoolExecutor(
        3
    ) as callers:  # one is computed, one waits, and the queue has no room for the third
        calls = [callers.submit(post) for _ in range(3)]
        try:
            done, _ = futures.wait(calls, 30, futures.FIRST_COMPLETED)
            refused = [each.result() for each in done]
        finally:
            hold.unlink()
        answers = [each.result(30) for each in calls]
    assert {each.status_code for each in refused} == {429}
    for answer in (each for each in answers if each.status_code == 429):
        assert answer.headers["retry-after"]
        assert answer.headers["x-ftkit-deployment"] == "busy"
        assert "wait for the model already" in answer.json()["error"]
    assert 200 in {each.status_code for each in answers}
    assert server(deployer, "busy")["errors"] == 0
