"""What a rollout keeps is kept wherever the run was killed, and put back in peace with other rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Health
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger
from ftkit.stages import keeping, known_endpoints, release
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle
from tests.stages.deployer_in_memory import Memory

OLD = {"old": 70, "older": 30}


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Here(Memory):
    """An endpoint of this machine, to which one rollout goes at a time."""

    local: ClassVar[bool] = True
    busy: bool = False

    @contextmanager
    def guarded(self, deployment: str) -> Iterator[None]:
        if self.busy:
            raise DeployError("a rollout is under way")
        yield


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger of a new run."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(known_endpoints, "remember", lambda _: None)
    with toys.install(tmp_path / "plugins"):
        yield ledgers.begin("toy", toys.RECIPE)[0]


@pytest.fixture
def watchers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that would look after what is kept."""
    started: list[Any] = []
    monkeypatch.setattr(keeping.subprocess, "Popen", lambda command, **_: started.append(command))
    return started


def deploy(deployer: Here, ledger: Ledger, bundle: Bundle) -> str:
    """Deploy as a run does; returns the name of the deployment."""
    plan: Any = SimpleNamespace(deploy=deployer, rollout=Rollout(bake=0.0, poll=0.001, canary=(50,), keep="1h"))
    return release.deploy(plan, ledger, lambda _: None, bundle, None)[1]


@pytest.mark.parametrize(
    "place",
    ["ftkit.stages.rollout._retire", "ftkit.stages.keeping.begin", "ftkit.stages.keeping.subprocess.Popen", "nowhere"],
)
def test_what_was_live_is_kept_wherever_the_end_of_a_rollout_was_killed(
    ledger: Ledger, bundle: Bundle, watchers: list[Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    deployer = Here(traffic=dict(OLD), hashes={"old": "1", "older": "2", "oldest": "3"})

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    if place != "nowhere":
        with monkeypatch.context() as patched:
            patched.setattr(place, killed)
            with pytest.raises(Killed):
                deploy(deployer, ledger, bundle)
    name = deploy(deployer, ledger, bundle)
    assert deployer.traffic == {name: 100}
    assert set(deployer.hashes) == {"old", "older", name}
    assert len(watchers) == 1
    assert len(ledger.facts(keeping.KEPT)) == 1
    kept = keeping.latest("memory")
    assert kept is not None
    assert (kept.deployment, dict(kept.before)) == (name, OLD)


def test_what_is_gone_by_then_is_not_said_to_be_kept(ledger: Ledger) -> None:
    deployer = Here(traffic=dict(OLD), hashes={"old": "1", "older": "2"})
    assert keeping.replaced(ledger, deployer, "new") == OLD
    deployer.hashes, deployer.traffic = {"old": "1", "new": "3"}, {"new": 100}
    assert keeping.replaced(ledger, deployer, "new") == {"old": 70}
    assert keeping.replaced(ledger, Here(), "new") == {}


def test_nothing_is_put_back_while_a_rollout_is_under_way(ledger: Ledger, bundle: Bundle, watchers: list[Any]) -> None:
    deployer = Here(traffic=dict(OLD), hashes={"old": "1", "older": "2"})
    name = deploy(deployer, ledger, bundle)
    deployer.busy = True
    with pytest.raises(DeployError, match="under way"):
        keeping.put_back(deployer, lambda _: None, "by hand")
    assert deployer.traffic == {name: 100}
    assert keeping.latest("memory") is not None
    deployer.busy = False
    keeping.put_back(deployer, lambda _: None, "by hand")
    assert deployer.traffic == OLD
    assert keeping.latest("memory") is None


def test_one_process_looks_after_what_is_kept(ledger: Ledger, bundle: Bundle, watchers: list[Any]) -> None:
    import filelock

    deployer = Here(traffic=dict(OLD), hashes={"old": "1", "older": "2"})
    deploy(deployer, ledger, bundle)
    events: list[Any] = []
    with filelock.FileLock(ledger.folder / ".watch.lock"):
        assert keeping.watch(deployer, events.append)
    assert [each.text for each in events] == ["Another process looks after it already."]


def test_an_old_deployment_that_cannot_be_put_back_yet_is_put_back_later(
    ledger: Ledger, bundle: Bundle, watchers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer = Here(traffic=dict(OLD), hashes={"old": "1", "older": "2"}, busy=False)
    deploy(deployer, ledger, bundle)
    deployer.busy = True
    deployer.healths = [Health("failed", "it broke")]
    monkeypatch.setattr(keeping.time, "sleep", lambda _: setattr(deployer, "busy", False))
    events: list[Any] = []
    assert not keeping.watch(deployer, events.append)
    assert any("cannot be put back yet" in getattr(each, "text", "") for each in events)
    assert deployer.traffic == OLD
