"""The old deployment stays warm after a rollout: retired when its time is over, put back by hand or by an alarm."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ftkit
from ftkit.contracts import Endpoint, Outcome
from ftkit.events import Event, Noticed
from ftkit.stages import keeping, known_endpoints
from ftkit.testing import toys

RECIPE = (
    toys.RECIPE
    + """
[registry]
use = "mlflow"
model = "toy"

[deploy]
use = "local"
endpoint = "kept"
threads = 1

[rollout]
bake = 0
poll = 0.05
"""
)


@pytest.fixture
def deploy(tmp_path: Path, endpoint_home: Path) -> Iterator[Callable[..., Outcome]]:
    """Runs a recipe whose rollout goes to one endpoint; each seed is a model of its own."""

    def run(seed: int, keep: str = "0s", alarm: str = "", tell: Callable[[Event], None] = lambda _: None) -> Outcome:
        path = tmp_path / f"{seed}.toml"
        path.write_text(f'{RECIPE.replace("seed = 7", f"seed = {seed}")}keep = "{keep}"\n{alarm}')
        return ftkit.run(path, emit=tell)

    yield run
    for deployer in known_endpoints.known().values():
        deployer.stop()


def described() -> Endpoint:
    endpoint = known_endpoints.find("kept").describe()
    assert endpoint is not None
    return endpoint


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ftkit", *arguments], capture_output=True, text=True, timeout=120)


def wait(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)


def test_an_old_deployment_is_put_back_by_hand_with_its_version_as_the_champion(deploy: Callable[..., Outcome]) -> None:
    first = deploy(1)
    noticed: list[str] = []
    second = deploy(2, "1h", tell=lambda event: noticed.extend([event.text] if isinstance(event, Noticed) else []))
    assert described().traffic == {second.deployment: 100}
    assert {each.name for each in described().deployments} == {first.deployment, second.deployment}
    assert any("stays for 1h, without traffic; `ftkit endpoint rollback kept` puts it back" in text for text in noticed)

    done = command("endpoint", "rollback", "kept", "--reason", "orders fell")
    assert done.returncode == 0, done.stderr
    assert described().traffic == {first.deployment: 100}
    assert "Version 1 of toy is the champion again" in done.stdout + done.stderr
    closed = keeping.ledgers.find(second.run).fact(keeping.CLOSED)
    assert closed is not None
    assert (closed["how"], closed["reason"]) == ("put back", "orders fell")
    report = keeping.ledgers.find(second.run).folder / "report.html"
    assert "got the traffic back: orders fell" in report.read_text(encoding="utf-8")

    again = command("endpoint", "rollback", "kept")
    assert again.returncode == 2
    assert "no old deployment is kept" in again.stderr


def test_an_old_deployment_is_retired_when_its_time_is_over(deploy: Callable[..., Outcome]) -> None:
    deploy(1)
    second = deploy(2, "3s")
    wait(lambda: [each.name for each in described().deployments] == [second.deployment])
    wait(lambda: keeping.latest("kept") is None)
    assert described().traffic == {second.deployment: 100}


def test_an_alarm_after_the_rollout_puts_the_old_deployment_back(
    deploy: Callable[..., Outcome], tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    alarm = f'[[rollout.alarm]]\ncommand = ["test", "!", "-e", "{bad}"]\nevery = 0.2\n'
    first = deploy(1)
    second = deploy(2, "1h", alarm)
    assert described().traffic == {second.deployment: 100}
    bad.touch()
    wait(lambda: described().traffic == {first.deployment: 100})
    wait(lambda: keeping.latest("kept") is None)
    closed = keeping.ledgers.find(second.run).fact(keeping.CLOSED)
    assert closed is not None
    assert "says no" in closed["reason"]


def test_a_later_rollout_takes_over_what_was_kept(deploy: Callable[..., Outcome]) -> None:
    deploy(1)
    second = deploy(2, "1h")
    third = deploy(3, "1h")
    assert {each.name for each in described().deployments} == {second.deployment, third.deployment}
    kept = keeping.latest("kept")
    assert kept is not None
    assert (kept.deployment, dict(kept.before)) == (third.deployment, {second.deployment: 100})


def test_nobody_looks_after_an_endpoint_that_was_stopped(deploy: Callable[..., Outcome]) -> None:
    deploy(1)
    second = deploy(2, "1h")
    known_endpoints.find("kept").stop()
    wait(lambda: keeping.latest("kept") is None)
    closed = keeping.ledgers.find(second.run).fact(keeping.CLOSED)
    assert closed is not None
    assert closed["how"] == "the endpoint is gone"
