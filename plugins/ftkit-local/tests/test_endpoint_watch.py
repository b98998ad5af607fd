"""An endpoint on this machine measures its deployments, and passes over one that does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.client import ask
from prometheus_client.parser import text_string_to_metric_families

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Measuring, capable
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError
from ftkit.events import CopiesCompared, DeploymentJudged, Event, TrafficMoved
from ftkit.serving.traffic import stay
from ftkit.stages import known_endpoints
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

Make = Callable[..., LocalDeployer]
QUICK = Rollout(bake=0.0, poll=0.05)


def quiet(_: Event) -> None:
    pass


@pytest.fixture
def bundle(tmp_path: Path, endpoint_home: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle")


@contextmanager
def stopped(deployer: LocalDeployer, deployment: str) -> Iterator[None]:
    """Its server process does nothing for a while, as one in a deadlock or on a machine that swaps."""
    servers = ask(deployer.folder, "GET", "/status")["deployments"]
    pid = next(each["pid"] for each in servers if each["name"] == deployment)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state(deployer: LocalDeployer, deployment: str) -> str:
    servers = ask(deployer.folder, "GET", "/status")["deployments"]
    return str(next(each["state"] for each in servers if each["name"] == deployment))


def wait(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def two(deployer: LocalDeployer, bundle: Bundle, shares: dict[str, int]) -> None:
    """Two deployments of one bundle with these shares."""
    deployer.prepare()
    for name in shares:
        deployer.create(name, bundle.folder)
        wait(lambda name=name: deployer.health(name).state == "ready")  # type: ignore[misc]
    deployer.set_traffic(shares)


def test_no_request_is_lost_while_a_deployment_hangs_and_it_comes_back(
    endpoint_named: Make, bundle: Bundle, endpoint_load: Any
) -> None:
    deployer = endpoint_named(probe_timeout=1.0)
    two(deployer, bundle, {"one": 50, "other": 50})
    with endpoint_load(deployer.prepare()) as load:
        load.wait(20)
        with stopped(deployer, "one"):
            wait(lambda: state(deployer, "one") == "hanging")
            load.wait(40)
            assert deployer.health("one").state == "failed"
            assert "has not answered for 1 s" in deployer.health("one").reason
        wait(lambda: state(deployer, "one") == "ready")
        load.wait(40)
    assert load.failures == []
    assert "one" in {name for _, name in load.answers[-40:]}
    measured = deployer.measures(60)
    assert measured["one"].errors["disconnected"] >= 1, "its requests were sent to the other one"


def test_a_deployment_that_hangs_under_all_traffic_gives_way_to_the_one_before(
    endpoint_named: Make, bundle: Bundle, endpoint_load: Any
) -> None:
    deployer = endpoint_named(probe_timeout=1.0)
    roll_out(deployer, bundle, "old", QUICK, quiet)

    def hang(event: Event) -> None:
        if getattr(event, "shares", {}).get("new") == 100:
            pid = next(
                each["pid"] for each in ask(deployer.folder, "GET", "/status")["deployments"] if each["name"] == "new"
            )
            os.kill(pid, signal.SIGSTOP)

    with endpoint_load(deployer.prepare()) as load:
        load.wait(10)
        with pytest.raises(DeployError, match="did not stay healthy: it has not answered"):
            roll_out(deployer, bundle, "new", Rollout(bake=60, poll=0.05), hang)
        load.wait(10)
    assert load.failures == []
    assert deployer.prepare().traffic == {"old": 100}


def test_an_idle_deployment_does_not_hang_and_one_alone_keeps_its_requests(
    endpoint_named: Make, bundle: Bundle
) -> None:
    deployer = endpoint_named(probe_timeout=0.3)
    roll_out(deployer, bundle, "only", QUICK, quiet)
    wait(lambda: "answers again" not in deployer.folder.front_log.read_text())
    threading.Event().wait(1.5)  # several looks without any request
    assert state(deployer, "only") == "ready"
    answers: list[Any] = []
    with stopped(deployer, "only"):
        caller = threading.Thread(target=lambda: answers.append(deployer.invoke({"data": [{"text": GOOD}]})))
        caller.start()
        wait(lambda: state(deployer, "only") == "hanging")
    caller.join(30)
    assert answers == [["good"]], "nothing else could answer, so it was waited for"


def test_what_each_deployment_did_is_measured_and_told_to_prometheus(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named()
    assert capable(deployer, Measuring)
    endpoint = roll_out(deployer, bundle, "only", QUICK, quiet)
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    with httpx2.Client(trust_env=False, headers=headers) as client:
        for text in (GOOD, GOOD, BAD):
            assert client.post(endpoint.url, json={"data": [{"text": text}]}).status_code == 200
        assert client.post(endpoint.url, content=b"{").status_code == 400
        measured = deployer.measures(60)["only"]
        page = client.get(endpoint.url.replace("/score", "/metrics"))
        refused = httpx2.get(endpoint.url.replace("/score", "/metrics"), trust_env=False)
    smoke = measured.requests - 3
    assert smoke in (1, 2), "and the smoke tests"
    assert measured.errors == {}
    assert measured.classes["bad"] >= 1
    assert measured.classes["good"] >= 2
    assert sum(measured.confidence) == sum(measured.classes.values())
    assert 0 < measured.latency["mean"] < 60
    assert sum(window.requests for window in measured.windows) == measured.requests
    assert refused.status_code == 401
    samples = {
        (sample.name, sample.labels.get("class", sample.labels.get("le", ""))): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }
    assert samples["ftkit_requests_total", ""] == measured.requests
    assert samples["ftkit_request_seconds_bucket", "+Inf"] == measured.requests
    assert samples["ftkit_predicted_total", "bad"] == measured.classes["bad"]
    assert samples["ftkit_traffic_percent", ""] == 100
    assert samples["ftkit_model_texts_total", ""] >= 3


def test_callers_stay_with_one_deployment_while_its_share_grows(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named(sticky="header:X-User")
    two(deployer, bundle, {"old": 80, "new": 20})
    endpoint = deployer.prepare()
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    callers = [f"caller {number}" for number in range(30)]

    def who_answers() -> dict[str, str]:
        answered = {}
        with httpx2.Client(trust_env=False, headers=headers) as client:
            for caller in callers:
                answer = client.post(endpoint.url, json={"data": [{"text": GOOD}]}, headers={"X-User": caller})
                answered[caller] = answer.headers["x-ftkit-deployment"]
        return answered

    first = who_answers()
    assert first == who_answers()
    assert set(first.values()) == {"old", "new"}
    deployer.set_traffic({"old": 50, "new": 50})
    then = who_answers()
    assert all(then[caller] == "new" for caller, name in first.items() if name == "new")
    assert list(then.values()).count("new") > list(first.values()).count("new")


@pytest.mark.parametrize(
    ("weights", "share"), [({"a": 90, "b": 10}, 0.1), ({"a": 50, "b": 50}, 0.5), ({"a": 0, "b": 7}, 1)]
)
def test_sticky_callers_are_spread_by_the_shares(weights: dict[str, int], share: float) -> None:
    picked = [stay(f"caller {number}", weights) for number in range(4000)]
    assert picked.count("b") / len(picked) == pytest.approx(share, abs=0.02)
    assert stay("anybody", {"a": 0}) is None


def test_a_canary_that_answers_otherwise_is_rolled_back(
    endpoint_named: Make, bundle: Bundle, endpoint_unruly: Callable[..., Bundle], endpoint_load: Any
) -> None:
    """Both deployments are real, and so is their traffic: the new one takes much longer."""
    deployer = endpoint_named()
    roll_out(deployer, bundle, "old", QUICK, quiet)
    judged: list[DeploymentJudged] = []

    def emit(event: Event) -> None:
        judged.extend([event] if isinstance(event, DeploymentJudged) else [])

    slow = endpoint_unruly("slow", delay=0.4)
    settings = Rollout(bake=1.0, poll=0.05, canary=(50,), patience="50s", least_requests=30)
    with endpoint_load(deployer.prepare()) as load:
        with pytest.raises(DeployError, match="times as long as the old one"):
            roll_out(deployer, slow, "new", settings, emit)
        load.wait(10)
    assert load.failures == []
    assert judged[-1].state == "unhealthy"
    assert deployer.prepare().traffic == {"old": 100}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sticky": "X-User"}, "must name a header"),
        ({"sticky": "header:a b"}, "header"),
        ({"probe_timeout": 0}, "positive"),
    ],
)
def test_wrong_options_of_an_endpoint_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalDeployer(endpoint="kit", **options)


ROLLOUT = """
import sys, time
from pathlib import Path
from ftkit.bundle import bundle
from ftkit.contracts.settings import Rollout
from ftkit.stages import known_endpoints
from ftkit.stages.rollout import roll_out
from ftkit_local.deployer import LocalDeployer

def tell(event):
    print(getattr(event, "step", getattr(event, "shares", "")), flush=True)

roll_out(LocalDeployer(endpoint="kit", threads=1), bundle.verify(Path(sys.argv[1])), "new",
         Rollout(bake=60, poll=0.05, canary=tuple(map(int, sys.argv[2:]))), tell)
"""


@contextmanager
def client_until(bundle: Bundle, line: str) -> Iterator[subprocess.Popen[str]]:
    """A process that rolls a bundle out, by 30 % first unless all is waited for, and has come as far as this line."""
    command = [sys.executable, "-c", ROLLOUT, str(bundle.folder), *(() if "100" in line else ("30",))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any(line in each for each in process.stdout)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("moment", ["created", "'new': 30", "'new': 100"])
def test_the_endpoint_undoes_a_rollout_whose_client_was_killed(
    endpoint_named: Make, bundle: Bundle, endpoint_load: Any, moment: str
) -> None:
    deployer = endpoint_named()
    roll_out(deployer, bundle, "old", QUICK, quiet)
    with endpoint_load(deployer.prepare()) as load:
        with client_until(bundle, moment) as client:
            client.kill()
        wait(lambda: [each.name for each in deployer.prepare().deployments] == ["old"])
        load.wait(5)
    assert load.failures == []
    assert deployer.prepare().traffic == {"old": 100}
    assert "the process that rolled it out is gone" in deployer.folder.front_log.read_text()
    roll_out(deployer, bundle, "new", QUICK, quiet)  # the same again, which now succeeds
    assert deployer.prepare().traffic == {"new": 100}


def test_two_rollouts_at_once_do_not_disturb_each_other(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named()
    roll_out(deployer, bundle, "old", QUICK, quiet)
    with client_until(bundle, "'new': 30") as client:
        with pytest.raises(
            DeployError, match=f"a rollout of 'new' to this endpoint is under way, by process {client.pid}"
        ):
            roll_out(deployer, bundle, "another", QUICK, quiet)
        assert deployer.prepare().traffic == {"old": 70, "new": 30}
        assert client.poll() is None


def test_copies_are_compared_before_a_deployment_gets_traffic_and_no_caller_notices(
    endpoint_named: Make, bundle: Bundle, endpoint_unruly: Callable[..., Bundle], endpoint_load: Any
) -> None:
    deployer = endpoint_named(mirror=50)
    roll_out(deployer, bundle, "old", QUICK, quiet)
    emitted: list[Event] = []
    with endpoint_load(deployer.prepare()) as load:
        load.wait(5)
        settings = Rollout(bake=2.0, poll=0.05, analysis=False)
        roll_out(deployer, endpoint_unruly("wrong", wrong=True), "new", settings, emitted.append)
        load.wait(5)
    assert load.failures == []
    (event,) = [each for each in emitted if isinstance(each, CopiesCompared)]
    assert event.comparison.texts > 3
    assert event.comparison.flipped == event.comparison.texts
    assert event.comparison.largest > 0.5
    assert event.comparison.flips == (), "texts of callers are in no event"
    compared = deployer.compared()
    assert compared is not None
    assert {(flip.text, flip.old, flip.new) for flip in compared.flips} == {(GOOD, "good", "bad")}
    moved = [each for each in emitted if isinstance(each, TrafficMoved)]
    assert emitted.index(event) < emitted.index(moved[0])


def test_a_rollout_that_was_held_is_ended_by_removing_its_deployment(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named()
    roll_out(deployer, bundle, "old", QUICK, quiet)
    known_endpoints.remember(deployer)
    held = Rollout(bake=0.0, poll=0.05, canary=(10,), doubt="hold")
    with pytest.raises(DeployError, match="`ftkit endpoint delete kit --deployment new` ends it"):
        roll_out(deployer, bundle, "new", held, quiet)
    assert deployer.prepare().traffic == {"old": 90, "new": 10}
    command = [sys.executable, "-m", "ftkit", "endpoint", "delete", "kit", "--deployment", "new"]
    assert subprocess.run(command, capture_output=True, timeout=120, check=True).returncode == 0
    assert [(each.name, each.traffic) for each in deployer.prepare().deployments] == [("old", 100)]
