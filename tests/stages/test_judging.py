"""A rollout that is judged by live requests and by alarms from outside."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.measures import Measures, Window
from ftkit.contracts.settings import Alarm, Rollout
from ftkit.errors import DeployError
from ftkit.events import DeploymentJudged, Event, Noticed, TrafficMeasured
from ftkit.stages.judging import HeldError, UnhealthyError
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import toy_bundle
from tests.stages.deployer_in_memory import Memory

QUICK = Rollout(bake=0.0, poll=0.001, canary=(10, 50))


def good(requests: int = 1000) -> Measures:
    """What a sound deployment did."""
    windows = [Window(float(at), requests // 20, requests / 20 * 0.02 * (1 + at % 3 / 100)) for at in range(20)]
    return Measures(requests, {"500": requests // 100}, {}, windows, {"bad": requests // 2, "good": requests // 2})


@dataclass
class Measured(Memory):
    """A deployer that measures: each deployment did what `does` says, if it has traffic."""

    does: Callable[[str, Mapping[str, int]], Measures | None] = lambda name, traffic: good()
    delay: float = 0.0
    asked: list[float] = field(default_factory=list)

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        self.asked.append(seconds)
        every = {name: self.does(name, self.traffic) for name in self.hashes}
        return {name: each for name, each in every.items() if each is not None}


def with_old(does: Callable[[str, Mapping[str, int]], Measures | None]) -> Measured:
    return Measured(traffic={"old": 100}, hashes={"old": "1"}, does=does)


def only_with_traffic(name: str, traffic: Mapping[str, int]) -> Measures | None:
    """Sound as long as it gets requests."""
    return good() if traffic.get(name) else None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("judging") / "bundle")


def rolled_out(deployer: Memory, bundle: Bundle, settings: Rollout) -> list[Event]:
    events: list[Event] = []
    roll_out(deployer, bundle, "new", settings, events.append)
    return events


def test_a_sound_deployment_is_judged_in_every_step(bundle: Bundle) -> None:
    deployer = with_old(lambda name, traffic: good())
    events = rolled_out(deployer, bundle, QUICK)
    assert deployer.traffic == {"new": 100}
    judged = [event for event in events if isinstance(event, DeploymentJudged)]
    assert {event.state for event in judged} == {"healthy"}
    measured = [event for event in events if isinstance(event, TrafficMeasured)]
    assert [set(event.measures) for event in measured] == [{"old", "new"}] * 3


BAD: dict[str, tuple[Callable[[Measures], Measures], str]] = {
    "errors": (lambda each: replace(each, errors={"500": 80}), r"fails 8.0 % of its requests, the old one 1.0 %"),
    "latency": (
        lambda each: replace(each, windows=[replace(at, seconds=2 * at.seconds) for at in each.windows]),
        "times as long as the old one",
    ),
    "answers": (lambda each: replace(each, classes={"bad": 1000}), "hardly answers 'good' any more"),
}


@pytest.mark.parametrize("share", [10, 50])
@pytest.mark.parametrize("kind", BAD)
def test_a_deployment_that_does_worse_is_rolled_back(bundle: Bundle, kind: str, share: int) -> None:
    spoil, sentence = BAD[kind]
    deployer = with_old(
        lambda name, traffic: spoil(good()) if name == "new" and traffic.get(name, 0) >= share else good()
    )
    with pytest.raises(UnhealthyError, match=sentence):
        rolled_out(deployer, bundle, QUICK)
    assert deployer.traffic == {"old": 100}
    assert list(deployer.hashes) == ["old"]


def test_under_all_traffic_errors_are_compared_with_those_of_just_before(bundle: Bundle) -> None:
    def does(name: str, traffic: Mapping[str, int]) -> Measures | None:
        bad = name == "new" and traffic.get(name) == 100
        return replace(good(), errors={"500": 90}) if bad else only_with_traffic(name, traffic)

    deployer = with_old(does)
    with pytest.raises(UnhealthyError, match=r"fails 9.0 % of its requests"):
        rolled_out(deployer, bundle, replace(QUICK, canary=()))
    assert deployer.traffic == {"old": 100}
    assert max(deployer.asked) >= 60, "what the old one did before the switch"


@pytest.mark.parametrize(
    ("doubt", "error", "traffic"),
    [("go", None, {"new": 100}), ("back", UnhealthyError, {"old": 100}), ("hold", HeldError, {"old": 90, "new": 10})],
)
def test_too_few_requests_prolong_a_step_and_then_doubt_decides(
    bundle: Bundle, doubt: Any, error: type[DeployError] | None, traffic: dict[str, int]
) -> None:
    deployer = with_old(lambda name, traffic: good(40))
    settings = replace(QUICK, doubt=doubt, patience="0.5s")
    if error is None:
        assert any(isinstance(each, DeploymentJudged) for each in rolled_out(deployer, bundle, settings))
    else:
        with pytest.raises(error, match="too few requests to judge"):
            rolled_out(deployer, bundle, settings)
    assert deployer.traffic == traffic
    assert deployer.calls.count("health") > 4, "the step was prolonged"


def test_a_rollout_that_was_held_goes_on_where_it_stopped(bundle: Bundle) -> None:
    deployer = with_old(lambda name, traffic: good(40))
    with pytest.raises(HeldError, match=r"stops at new 10 %, old 90 %|stops at .*10 %"):
        rolled_out(deployer, bundle, replace(QUICK, doubt="hold"))
    deployer.does = lambda name, traffic: good()
    deployer.calls.clear()
    rolled_out(deployer, bundle, replace(QUICK, doubt="hold"))
    assert deployer.traffic == {"new": 100}
    assert "create" not in deployer.calls


def test_a_rollout_that_was_held_is_undone_whole(bundle: Bundle) -> None:
    deployer = with_old(lambda name, traffic: good(40))
    with pytest.raises(HeldError):
        rolled_out(deployer, bundle, replace(QUICK, doubt="hold"))
    deployer.does = lambda name, traffic: replace(good(), errors={"500": 500}) if name == "new" else good()
    with pytest.raises(UnhealthyError):
        rolled_out(deployer, bundle, replace(QUICK, doubt="hold"))
    assert deployer.traffic == {"old": 100}
    assert list(deployer.hashes) == ["old"]


def test_a_deployer_that_cannot_measure_says_so_and_one_that_fails_to_ends_nothing(bundle: Bundle) -> None:
    events = rolled_out(Memory(traffic={"old": 100}, hashes={"old": "1"}), bundle, QUICK)
    assert [each.text for each in events if isinstance(each, Noticed)] == [
        "memory measures no requests: the new deployment is judged by its health alone."
    ]

    def broken(name: str, traffic: Mapping[str, int]) -> Measures:
        raise DeployError("the metrics are not there yet")

    deployer = with_old(broken)
    events = rolled_out(deployer, bundle, QUICK)
    assert deployer.traffic == {"new": 100}
    assert any("not there yet" in each.text and each.warning for each in events if isinstance(each, Noticed))
    assert rolled_out(with_old(broken), bundle, replace(QUICK, analysis=False))


@pytest.fixture
def outside() -> Iterator[dict[str, Any]]:
    """A server whose answers a test changes: `status` and `body`."""
    said: dict[str, Any] = {"status": 200, "body": "", "asked": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said["asked"].append(self.path)
            body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        said["url"] = f"http://127.0.0.1:{server.server_port}"
        yield said
        server.shutdown()
        thread.join()


def vector(*values: str) -> dict[str, Any]:
    """Prometheus' answer to a query with a series for each value."""
    series = [{"metric": {}, "value": [1, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


@pytest.mark.parametrize(
    ("status", "body", "query", "objection"),
    [
        (200, "fine", "", ""),
        (503, "orders fall", "", "it answers 503 orders fall"),
        (200, vector(), "errors > 5", ""),
        (200, vector("0"), "errors > bool 5", ""),
        (200, vector("0", "7"), "errors > 5", "its query gives 7"),
        (200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}, "2", "its query gives 2"),
    ],
)
def test_an_alarm_at_an_address_rolls_back(
    bundle: Bundle, outside: dict[str, Any], status: int, body: Any, query: str, objection: str
) -> None:
    outside |= {"status": status, "body": body}
    deployer = with_old(only_with_traffic)
    settings = replace(QUICK, alarm=(Alarm(url=outside["url"], query=query),))
    if objection:
        with pytest.raises(UnhealthyError, match=objection):
            rolled_out(deployer, bundle, settings)
    else:
        rolled_out(deployer, bundle, settings)
    assert deployer.traffic == ({"old": 100} if objection else {"new": 100})
    assert outside["asked"][0].startswith("/api/v1/query?query=" if query else "/")


@pytest.mark.parametrize(
    ("code", "objection"),
    [("pass", ""), ("print('sales fall'); raise SystemExit(3)", "ended with status 3: sales fall")],
)
def test_a_program_as_an_alarm(bundle: Bundle, code: str, objection: str) -> None:
    deployer = with_old(only_with_traffic)
    settings = replace(QUICK, alarm=(Alarm(command=(sys.executable, "-c", code)),))
    if objection:
        with pytest.raises(UnhealthyError, match=objection):
            rolled_out(deployer, bundle, settings)
        return
    rolled_out(deployer, bundle, settings)
    assert deployer.traffic == {"new": 100}


@pytest.mark.parametrize(
    ("alarm", "reason"),
    [
        (Alarm(command=("/no/such/program",)), "No such file"),
        (Alarm(command=(sys.executable, "-c", "import time; time.sleep(60)"), timeout=0.2), "longer than 0.2 s"),
        (Alarm(url="http://127.0.0.1:9", timeout=1.0), "gives no answer"),
    ],
)
def test_an_alarm_without_an_answer_is_told_once_and_is_a_doubt(bundle: Bundle, alarm: Alarm, reason: str) -> None:
    alarm = replace(alarm, every=0.001)
    events = rolled_out(with_old(only_with_traffic), bundle, replace(QUICK, alarm=(alarm,)))
    told = [each.text for each in events if isinstance(each, Noticed) and each.warning]
    assert len(told) == 1
    assert reason in told[0]
    with pytest.raises(UnhealthyError, match="gave no answer"):
        rolled_out(with_old(only_with_traffic), bundle, replace(QUICK, alarm=(alarm,), doubt="back"))


def test_prometheus_that_refuses_a_query_gives_no_answer(bundle: Bundle, outside: dict[str, Any]) -> None:
    outside |= {"status": 400, "body": {"status": "error", "error": "parse error"}}
    events = rolled_out(
        with_old(only_with_traffic), bundle, replace(QUICK, alarm=(Alarm(url=outside["url"], query="(("),))
    )
    assert any("parse error" in each.text for each in events if isinstance(each, Noticed))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give one of the two"),
        ({"url": "http://a.b", "command": ("true",)}, "give one of the two"),
        ({"query": "up", "command": ("true",)}, "needs the url"),
        ({"url": "file:///etc/passwd"}, "must begin with http"),
        ({"url": "http://a.b", "timeout": 0}, "above 0"),
    ],
)
def test_a_wrong_alarm_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Alarm(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patience": "5"}, "duration"),
        ({"keep": "an hour"}, "duration"),
        ({"slower": 0.9}, "at least 1"),
        ({"drift": 0}, "above 0"),
        ({"least_requests": 3}, "at least 20"),
    ],
)
def test_wrong_settings_of_a_rollout_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout(**values)


@pytest.mark.parametrize(("bake", "delay"), [(0.3, 0.2), (0.1, 20.0)])
def test_a_step_waits_for_its_last_requests_and_counts_none_before_it(
    bundle: Bundle, bake: float, delay: float
) -> None:
    """Requests are known late: a step that lasts longer than that waits for them, a shorter one does not."""
    moved: list[float] = []
    looks: list[tuple[float, float]] = []

    class Late(Measured):
        def set_traffic(self, shares: Mapping[str, int]) -> None:
            super().set_traffic(shares)
            time.sleep(0.05)
            moved.append(time.monotonic())

        def measures(self, seconds: float) -> Mapping[str, Measures]:
            if len(moved) == 1 and seconds < 60:  # a look at the first step, not at what was before the second
                looks.append((time.monotonic() - seconds, seconds))
            return super().measures(seconds)

    deployer = Late(traffic={"old": 100}, hashes={"old": "1"}, delay=delay)
    rolled_out(deployer, bundle, replace(QUICK, bake=bake, canary=(10,), poll=0.01))
    assert min(begins for begins, _ in looks) >= moved[0] - 0.001
    waited = max(seconds for _, seconds in looks)
    assert waited >= 0.5 if delay < bake else waited < delay


def test_what_was_measured_until_a_step_broke_off_is_told(bundle: Bundle) -> None:
    spoil, _ = BAD["errors"]
    deployer = with_old(lambda name, traffic: spoil(good()) if name == "new" else good())
    events: list[Event] = []
    with pytest.raises(UnhealthyError):
        roll_out(deployer, bundle, "new", QUICK, events.append)
    (measured,) = [event for event in events if isinstance(event, TrafficMeasured)]
    assert measured.measures["new"].errors == {"500": 80}


def test_copies_that_a_target_does_not_count_are_no_reason_for_doubt(bundle: Bundle) -> None:
    class Copying(Measured):
        mirror = 20

        def mirror_to(self, deployment: str | None) -> None:
            self.calls.append(f"copies to {deployment}")

    deployer = Copying(traffic={"old": 100}, hashes={"old": "1"}, does=only_with_traffic)
    events = rolled_out(deployer, bundle, replace(QUICK, doubt="back"))
    assert "copies to new" in deployer.calls
    assert deployer.traffic == {"new": 100}
    assert [each.state for each in events if isinstance(each, DeploymentJudged)] == ["healthy"] * 3
