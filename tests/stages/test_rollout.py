"""A rollout ends with the new deployment live, or with everything as it was before, whichever call fails and with whatever error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ftkit.bundle.bundle import Bundle, verify
from ftkit.contracts import Health
from ftkit.contracts.settings import Rollout
from ftkit.errors import BundleError, DeployError, VerbError
from ftkit.events import DeploymentChanged, Event, Noticed, TrafficMoved
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import toy_bundle
from tests.stages.deployer_in_memory import Memory

QUICK = Rollout(bake=0.0, poll=0.001, canary=(10, 50))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("rollout") / "bundle")


def with_old() -> Memory:
    """An endpoint where two deployments share the traffic and a third has none."""
    return Memory(traffic={"old": 70, "older": 30}, hashes={"old": "1", "older": "2", "oldest": "3"})


def successful_calls(bundle: Bundle) -> list[str]:
    deployer = with_old()
    roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    return deployer.calls


def test_the_first_deployment_gets_all_traffic(bundle: Bundle) -> None:
    deployer = Memory()
    endpoint = roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert endpoint.traffic == {"new": 100}
    assert [each.name for each in endpoint.deployments] == ["new"]


def test_events_report_the_steps_in_order(bundle: Bundle) -> None:
    events: list[Event] = []
    roll_out(with_old(), bundle, "new", QUICK, events.append)
    steps = [
        each.step if isinstance(each, DeploymentChanged) else each.shares
        for each in events
        if isinstance(each, DeploymentChanged | TrafficMoved)
    ]
    assert steps == [
        "created",
        "became ready",
        "passed the smoke test",
        {"old": 63, "older": 27, "new": 10},
        "passed the smoke test",
        {"old": 35, "older": 15, "new": 50},
        "passed the smoke test",
        {"new": 100},
        "passed the smoke test",
        *["retired"] * 3,
    ]


def test_the_old_deployments_are_kept_until_the_new_one_has_baked_under_all_traffic(bundle: Bundle) -> None:
    calls = successful_calls(bundle)
    assert "delete" not in calls[: len(calls) - 3]
    assert calls[-3:] == ["delete"] * 3
    last_move = len(calls) - 1 - calls[::-1].index("set_traffic")
    assert calls[last_move + 1 : -3] == ["health", "invoke"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [DeployError("refused"), RuntimeError("bug"), KeyboardInterrupt(), SystemExit(1)])
def test_when_any_call_fails_everything_is_as_before_or_the_new_deployment_is_live(
    bundle: Bundle, moment: str, error: BaseException
) -> None:
    calls = successful_calls(bundle)
    retiring = len(calls) - 3
    for failing in range(len(calls)):

        def fail(number: int, verb: str, failing: int = failing) -> None:
            if number == failing:
                raise error

        deployer = with_old()
        before = deployer.describe()
        setattr(deployer, moment, fail)
        events: list[Event] = []
        if failing >= retiring and not isinstance(error, KeyboardInterrupt):
            roll_out(deployer, bundle, "new", QUICK, events.append)
            assert deployer.traffic == {"new": 100}
            assert any(each.warning for each in events if isinstance(each, Noticed))
            continue
        expected = type(error) if isinstance(error, DeployError | KeyboardInterrupt) else VerbError
        with pytest.raises(expected) as caught:
            roll_out(deployer, bundle, "new", QUICK, events.append)
        assert str(error) in str(caught.value)
        if failing >= retiring:
            assert deployer.traffic == {"new": 100}, (
                "interrupted while old deployments are removed: the new one stays live"
            )
        else:
            assert deployer.describe() == before, f"{error!r} {moment} call {failing} ({calls[failing]})"


@pytest.mark.parametrize("kind", [DeployError, KeyboardInterrupt])
def test_a_failing_rollback_does_not_hide_the_first_error(bundle: Bundle, kind: type[BaseException]) -> None:
    error = kind("refused")

    def fail(number: int, verb: str) -> None:
        if verb == "invoke" and deployer.traffic == {"new": 100}:
            broken.append(True)
            raise error
        if broken:
            raise DeployError(f"cannot {verb}")

    broken: list[bool] = []
    deployer = with_old()
    deployer.before = fail
    events: list[Event] = []
    with pytest.raises(type(error)) as caught:
        roll_out(deployer, bundle, "new", QUICK, events.append)
    assert caught.value is error
    warnings = [each.text for each in events if isinstance(each, Noticed) and each.warning]
    notes = error.hint.splitlines() if isinstance(error, DeployError) else error.__notes__
    assert notes == warnings
    assert "Traffic could not be put back to {'old': 70, 'older': 30}: cannot set_traffic" in notes[0]
    assert "The deployment new could not be removed: cannot delete" in notes[1]
    assert notes[1].endswith("this removes it: ftkit endpoint delete memory --deployment new")


def test_a_rollout_killed_at_any_call_continues_when_it_is_called_again(bundle: Bundle) -> None:
    """As if the process had been killed: nothing was rolled back."""
    for failing in range(len(successful_calls(bundle))):
        deployer = with_old()

        def die(number: int, verb: str, failing: int = failing) -> None:
            if number >= failing:
                raise KeyboardInterrupt

        deployer.after = die
        with pytest.raises(KeyboardInterrupt):
            roll_out(deployer, bundle, "new", QUICK, lambda _: None)
        deployer.after = lambda number, verb: None
        endpoint = roll_out(deployer, bundle, "new", QUICK, lambda _: None)
        assert endpoint.traffic == {"new": 100}
        assert [each.name for each in endpoint.deployments] == ["new"]


def test_a_live_and_healthy_deployment_of_the_same_bundle_is_kept(bundle: Bundle) -> None:
    deployer = Memory()
    roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    deployer.hashes["old"] = "1"
    deployer.calls.clear()
    endpoint = roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert "create" not in deployer.calls
    assert [each.name for each in endpoint.deployments] == ["new"]


def test_a_live_deployment_of_this_name_with_another_bundle_is_replaced(bundle: Bundle) -> None:
    deployer = Memory(traffic={"new": 100}, hashes={"new": "another"})
    roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert deployer.hashes == {"new": bundle.hash}
    assert deployer.traffic == {"new": 100}


def test_a_live_deployment_that_no_longer_answers_is_replaced(bundle: Bundle) -> None:
    deployer = Memory(traffic={"new": 100}, hashes={"new": bundle.hash})
    deployer.healths = [Health("starting", "restarted"), Health("failed", "no memory")]
    events: list[Event] = []
    roll_out(deployer, bundle, "new", QUICK, events.append)
    assert deployer.calls.count("create") == 1
    assert isinstance(events[0], Noticed)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": "no"}, "no list"),
        (["good"], "2 texts were sent, 1 answers came"),
        (["good", "LABEL_0"], '"LABEL_0" is no class of the model (bad, good)'),
        (["good", None], "null is no class"),
        ([["good"], ["bad"]], "is no class"),
    ],
)
def test_an_answer_that_is_not_one_label_per_text_fails_the_smoke_test(
    bundle: Bundle, answer: Any, reason: str
) -> None:
    deployer = with_old()
    deployer.answer = lambda request: answer
    with pytest.raises(DeployError, match="the smoke test failed") as caught:
        roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert reason in str(caught.value)
    assert "a line of the server's log" in str(caught.value)
    assert deployer.traffic == {"old": 70, "older": 30}


def test_a_deployment_that_fails_to_start_is_an_error_with_its_reason_and_log(bundle: Bundle) -> None:
    deployer = with_old()
    deployer.healths = [Health("starting", "loading"), Health("failed", "out of memory", "Traceback\nKilled")]
    with pytest.raises(DeployError, match="out of memory") as caught:
        roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert "| Killed" in str(caught.value)
    assert "new" not in deployer.hashes


def test_a_deployment_that_never_becomes_ready_is_given_up(bundle: Bundle) -> None:
    deployer = with_old()
    deployer.healths = [Health("starting", "still loading")] * 10_000
    with pytest.raises(DeployError, match=r"not ready after 0\.05 s: still loading") as caught:
        roll_out(deployer, bundle, "new", Rollout(ready_timeout=0.05, poll=0.001), lambda _: None)
    assert "ready_timeout" in caught.value.hint


def test_a_deployment_that_becomes_unhealthy_during_its_bake_is_rolled_back(bundle: Bundle) -> None:
    deployer = with_old()
    deployer.healths = [Health("ready"), Health("ready"), Health("starting", "it was killed")]
    events: list[Event] = []
    with pytest.raises(DeployError, match="did not stay healthy: it was killed"):
        roll_out(deployer, bundle, "new", Rollout(canary=(20,), bake=0.5, poll=0.001), events.append)
    moves = [dict(each.shares) for each in events if isinstance(each, TrafficMoved)]
    assert moves == [{"old": 56, "older": 24, "new": 20}, {"old": 70, "older": 30}]


@pytest.mark.parametrize(
    "options",
    [
        {"canary": (0,)},
        {"canary": (100,)},
        {"canary": (50, 10)},
        {"canary": (10, 10)},
        {"bake": -1},
        {"ready_timeout": 0},
        {"poll": 0},
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options)).partition("_")[0]):
        Rollout(**options)


@dataclass
class Slow(Memory):
    """A deployer that declares how long its deployments take, and can copy the traffic."""

    ready_timeout: ClassVar[float] = 0.05
    poll: ClassVar[float] = 0.001
    mirror: int = 10
    copied: list[str | None] = field(default_factory=list)

    def mirror_to(self, deployment: str | None) -> None:
        self._do("mirror_to", lambda: self.copied.append(deployment))


def test_the_times_of_a_deployer_hold_where_the_recipe_sets_none(bundle: Bundle) -> None:
    starting = [Health("starting", "it is being made")] * 10_000
    with pytest.raises(DeployError, match=r"not ready after 0\.05 s"):
        roll_out(Slow(healths=list(starting)), bundle, "new", Rollout(bake=0.0), lambda _: None)
    with pytest.raises(DeployError, match=r"not ready after 0\.02 s"):
        roll_out(Slow(healths=list(starting)), bundle, "new", Rollout(bake=0.0, ready_timeout=0.02), lambda _: None)


def test_the_reason_of_a_starting_deployment_is_reported_once_for_each_change(bundle: Bundle) -> None:
    healths = [Health("starting", reason) for reason in ("one", "one", "two")]
    emitted: list[Event] = []
    roll_out(Memory(healths=healths), bundle, "new", QUICK, emitted.append)
    assert [each.detail for each in emitted if isinstance(each, DeploymentChanged) and each.step == "is starting"] == [
        "one",
        "two",
    ]


def test_copies_go_to_the_new_deployment_before_it_gets_any_traffic(bundle: Bundle) -> None:
    deployer = Slow(traffic={"old": 100}, hashes={"old": "0" * 64})
    roll_out(deployer, bundle, "new", Rollout(bake=0.0), lambda _: None)
    assert deployer.copied == ["new", None]
    assert deployer.calls.index("mirror_to") < deployer.calls.index("set_traffic")
    first = Slow()
    roll_out(first, bundle, "new", Rollout(bake=0.0), lambda _: None)
    assert first.copied == [], "where there is no traffic there is nothing to copy"


def test_a_deployment_that_fails_under_the_copied_traffic_is_rolled_back(bundle: Bundle) -> None:
    def before(number: int, verb: str) -> None:
        if verb == "mirror_to":
            deployer.healths = [Health("failed", "it broke")]

    deployer = Slow(traffic={"old": 100}, hashes={"old": "0" * 64}, before=before)
    with pytest.raises(DeployError, match="did not stay healthy"):
        roll_out(deployer, bundle, "new", Rollout(bake=0.0), lambda _: None)
    assert (deployer.traffic, set(deployer.hashes)) == ({"old": 100}, {"old"})


def _nothing(*_: Any) -> None:
    """A verb that returns and has done nothing."""


class Elsewhere(dict[str, str]):
    """Hashes of deployments that name another bundle."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, "f" * 64)


def _full_at_once(deployer: Memory) -> None:
    deployer.after = lambda number, verb: deployer.traffic.update(new=100) if verb == "create" else None


def _set(**attributes: Any) -> Callable[[Memory], None]:
    return lambda deployer: vars(deployer).update(attributes)


UNTRUE: dict[str, tuple[Callable[[Memory], None], str]] = {
    "traffic that does not move": (
        _set(set_traffic=_nothing),
        r"did not move the traffic: it is old 70 %, older 30 %, and was to be old 63 %, older 27 %, new 10 %",
    ),
    "a deployment of another bundle": (
        _set(hashes=Elsewhere(old="1", older="2")),
        "deployed another bundle as 'new': ffff",
    ),
    "traffic before it is asked for": (_full_at_once, "gave 'new' 100 % of the traffic before"),
    "no deployment": (
        _set(create=_nothing, health=lambda name: Health("ready")),
        "reports 'new' as ready, and the endpoint lists no such deployment: it has old, older",
    ),
}


@pytest.mark.parametrize("case", UNTRUE)
def test_what_a_deployer_says_is_compared_with_what_the_endpoint_has(bundle: Bundle, case: str) -> None:
    change, expected = UNTRUE[case]
    deployer = Memory(traffic={"old": 70, "older": 30}, hashes={"old": "1", "older": "2"})
    change(deployer)
    with pytest.raises(DeployError, match=expected) as caught:
        roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert "the deployer 'memory'" in caught.value.what
    assert caught.value.where == "memory"
    assert caught.value.hint
    assert deployer.traffic == {"old": 70, "older": 30}
    assert "new" not in deployer.hashes


def test_a_deployment_that_is_still_there_after_its_deletion_is_named_with_the_command_that_removes_it(
    bundle: Bundle,
) -> None:
    deployer = with_old()
    vars(deployer)["delete"] = _nothing
    events: list[Event] = []
    roll_out(deployer, bundle, "new", QUICK, events.append)
    warnings = [each.text for each in events if isinstance(each, Noticed) and each.warning]
    assert len(warnings) == 3
    assert "The old deployment old could not be removed: delete returned, and the endpoint still has it" in warnings[0]
    assert warnings[0].endswith("ftkit endpoint delete memory --deployment old")
    assert not any(isinstance(each, DeploymentChanged) and each.step == "retired" for each in events)
    deployer.answer = lambda request: ["no class"]
    with pytest.raises(DeployError, match="delete memory --deployment newer"):
        roll_out(deployer, bundle, "newer", QUICK, events.append)


def _flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights": (
        lambda folder: _flip(folder / "model" / "weights.npy"),
        "changed since it was written: model/weights.npy",
    ),
    "recipe": (lambda folder: _flip(folder / "recipe.toml"), "changed since it was written: recipe.toml"),
    "sample": (lambda folder: _flip(folder / "sample_request.json"), "sample_request.json"),
    "record": (lambda folder: _flip(folder / "promotion.json"), "promotion"),
    "manifest": (lambda folder: _flip(folder / "manifest.json"), "manifest"),
    "removed": (lambda folder: (folder / "README.md").unlink(), "missing: README.md"),
    "added": (
        lambda folder: (folder / "model" / "more.txt").write_text("more") and None,
        "not in the manifest: model/more.txt",
    ),
}
"""Changes of a bundle by the file that they touch, and what must be said of each."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("healthy", [0, 1], ids=["at the start", "under traffic"])
def test_a_bundle_that_is_changed_after_its_deployment_has_begun_is_told_by_what_was_changed(
    bundle: Bundle, tmp_path: Path, change: str, healthy: int
) -> None:
    changed = verify(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    spoil, words = CHANGES[change]
    deployer = with_old()
    deployer.healths = [Health("ready")] * healthy + [Health("failed", "the container has ended")]
    deployer.after = lambda _, verb: spoil(changed.folder) if verb == "create" else None
    with pytest.raises(BundleError) as caught:
        roll_out(deployer, changed, "new", QUICK, lambda _: None)
    assert "was changed after its deployment had begun" in caught.value.what
    assert words in str(caught.value)
    assert deployer.traffic == {"old": 70, "older": 30}
    assert "new" not in deployer.hashes
