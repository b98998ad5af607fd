"""What every deployment target must do, as tests to inherit.

    class TestCloud(DeployerSuite):
        @pytest.fixture
        def component(self, tmp_path):
            return Cloud(endpoint="kit")

The tests make real deployments of a toy model, whose plugin is installed for all processes that the tests start; a deployer whose
servers run elsewhere has to bring it there, or override `blue`, `green` and `broken`. Where deployments cost minutes, mark the class so
that it runs only on demand.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Deployer, Health
from ftkit.errors import DeployError, FtkitError
from ftkit.testing.bundles import GOOD, toy_bundle
from ftkit.testing.components import ComponentSuite, WithToys

GREAT = {"data": [{"text": GOOD}]}
PATIENCE = 120.0
"""Seconds for a deployment to become ready or to fail."""


class DeployerSuite(ComponentSuite, WithToys):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "deployers"
    patience: ClassVar[float] = PATIENCE
    """Seconds for a deployment to become ready or to fail."""

    @pytest.fixture
    def component(self) -> Deployer:
        """The deployer under test, of an endpoint that does not exist yet."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def deployer(self, component: Deployer) -> Iterator[Deployer]:
        """The component with its endpoint prepared; taken down after the test."""
        try:
            component.prepare()
            yield component
        finally:
            component.stop()

    @pytest.fixture
    def blue(self, tmp_path: Path) -> Bundle:
        """A bundle that answers `good` to GREAT."""
        return toy_bundle(tmp_path / "blue-bundle", ("bad", "good"))

    @pytest.fixture
    def green(self, tmp_path: Path) -> Bundle:
        """A bundle that answers `fine` to GREAT."""
        return toy_bundle(tmp_path / "green-bundle", ("poor", "fine"))

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        """A bundle that no server can load: intact and promoted, but of a backbone that is not installed anywhere."""
        return toy_bundle(tmp_path / "broken-bundle", use="no-such-backbone").folder

    def wait(self, deployer: Deployer, deployment: str) -> Health:
        """The deployment's health once it is ready or has failed."""
        ends = time.monotonic() + self.patience
        while (health := deployer.health(deployment)).state == "starting":
            assert time.monotonic() < ends, f"still starting: {health.reason}"
            assert health.reason, "a deployment that is not ready says why"
            time.sleep(0.05)
        return health

    def bring_up(self, deployer: Deployer, deployment: str, bundle: Bundle) -> None:
        """Create a deployment and wait until it is ready."""
        deployer.create(deployment, bundle.folder)
        health = self.wait(deployer, deployment)
        assert health.state == "ready", f"{health.reason}\n{health.log}"

    def test_an_endpoint_that_was_never_prepared_is_described_as_none_and_can_be_stopped(
        self, component: Deployer
    ) -> None:
        assert component.describe() is None, "`describe` prepares nothing: without an endpoint it returns None"
        component.stop()
        assert component.describe() is None, "stopping what does not exist must do nothing"

    def test_blue_gives_way_to_green(self, deployer: Deployer, blue: Bundle, green: Bundle) -> None:
        """The six verbs in the order of a rollout, twice."""
        assert deployer.prepare().deployments == (), "an endpoint is prepared without deployments"
        with pytest.raises(DeployError):
            deployer.health("never-was")
        self.bring_up(deployer, "blue", blue)
        assert deployer.invoke(GREAT, "blue") == ["good"], "a deployment answers by name before it has traffic"
        with pytest.raises(FtkitError):
            deployer.invoke(GREAT)
        deployer.set_traffic({"blue": 100})
        assert deployer.invoke(GREAT) == ["good"], "the endpoint answers by the deployment that has the traffic"

        self.bring_up(deployer, "green", green)
        assert {deployer.invoke(GREAT)[0] for _ in range(5)} == {"good"}, "no traffic means none"
        assert deployer.invoke(GREAT, "green") == ["fine"], "a deployment answers by name before it has traffic"
        deployer.set_traffic({"blue": 75, "green": 25})
        answers = Counter(deployer.invoke(GREAT)[0] for _ in range(100))
        assert 5 <= answers["fine"] <= 50, f"a quarter of the traffic, roughly: {answers}"
        assert answers["fine"] + answers["good"] == 100, f"answers of neither deployment: {answers}"

        deployer.set_traffic({"green": 100})
        assert {deployer.invoke(GREAT)[0] for _ in range(5)} == {"fine"}, "all of the traffic means all"
        deployer.delete("blue")
        described = deployer.describe()
        assert described is not None, "the endpoint exists and is described as none"
        assert [each.name for each in described.deployments] == ["green"], (
            "a deployment that was deleted is still listed"
        )
        assert described.traffic == {"green": 100}, "`describe` gives other shares than those that were set"
        assert described.deployments[0].bundle_hash in ("", green.hash), "`describe` gives the hash of another bundle"
        assert deployer.prepare().traffic == {"green": 100}, "preparing again changes nothing"
        assert "green" not in deployer.logs("green", lines=0), "no lines means none"
        assert len(deployer.logs("green", lines=3).splitlines()) <= 3, "`logs` returns more lines than were asked for"

        deployer.set_traffic({})
        with pytest.raises(FtkitError):
            deployer.invoke(GREAT)
        deployer.delete("green")
        deployer.delete("green")
        deployer.delete("never-was")
        after = deployer.describe()
        assert after is None or after.deployments == (), "a deployment that was deleted is still listed"

    def test_a_broken_bundle_fails_with_a_reason_and_the_log(self, deployer: Deployer, broken: Path) -> None:
        deployer.create("broken", broken)
        health = self.wait(deployer, "broken")
        assert health.state == "failed", f"a model that cannot be loaded is {health.state}"
        assert health.reason, "a deployment that failed says why"
        assert health.log.strip(), "a deployment that failed shows the end of its log"
        assert health.log.splitlines()[-1] in deployer.logs("broken", lines=200), (
            "`health` shows another log than `logs`"
        )
        deployer.delete("broken")
        with pytest.raises(DeployError):
            deployer.health("broken")

    @pytest.mark.parametrize("record", ["none", "failed"])
    def test_a_bundle_without_a_record_that_promotes_it_is_refused(
        self, deployer: Deployer, tmp_path: Path, record: Any
    ) -> None:
        bundle = toy_bundle(tmp_path / "bundle", record=record)
        with pytest.raises(DeployError) as refused:
            deployer.create("refused", bundle.folder)
        assert refused.value.hint, (
            "the error must say how to promote the bundle: `ftkit.bundle.bundle.cleared` raises one"
        )
        described = deployer.describe()
        assert described is None or described.deployments == (), "what was refused must leave no deployment"

    @pytest.mark.parametrize("name", ["recipe.toml", records.NAME])
    def test_a_bundle_or_record_with_one_changed_byte_is_refused(
        self, deployer: Deployer, tmp_path: Path, name: str
    ) -> None:
        path = toy_bundle(tmp_path / "bundle").folder / name
        path.write_bytes(path.read_bytes().replace(b"toy", b"tox", 1))
        with pytest.raises(FtkitError) as refused:
            deployer.create("refused", path.parent)
        assert "changed" in str(refused.value), "the error must say that the bundle was changed: check it in `create`"
        described = deployer.describe()
        assert described is None or described.deployments == (), "what was refused must leave no deployment"

    def test_a_bundle_that_a_person_promoted_is_deployed(self, deployer: Deployer, tmp_path: Path) -> None:
        self.bring_up(deployer, "overridden", toy_bundle(tmp_path / "bundle", record="overridden"))
        assert deployer.invoke(GREAT, "overridden") == ["good"], "a bundle that a person let through is deployed"

    def test_shares_of_the_traffic_change_all_together_or_not_at_all(self, deployer: Deployer, blue: Bundle) -> None:
        self.bring_up(deployer, "blue", blue)
        deployer.set_traffic({"blue": 100})
        refused: list[dict[str, Any]] = [
            {"blue": 50},
            {"blue": 50, "missing": 50},
            {"blue": 150},
            {"blue": 150, "missing": -50},
        ]
        for shares in refused:
            with pytest.raises(DeployError):
                deployer.set_traffic(shares)
            described = deployer.describe()
            assert described is not None, "the endpoint exists and is described as none"
            assert described.traffic == {"blue": 100}, f"the refused shares {shares} changed the traffic"
        with pytest.raises(DeployError):
            deployer.delete("blue")
        assert deployer.invoke(GREAT) == ["good"], "a deployment with traffic is not removed"
        with pytest.raises(DeployError):
            deployer.create("blue", blue.folder)
        assert deployer.invoke(GREAT) == ["good"], "a name that is in use is refused, and its deployment stays"

    def test_requests_in_flight_are_answered_while_traffic_moves_away(
        self, deployer: Deployer, blue: Bundle, green: Bundle
    ) -> None:
        self.bring_up(deployer, "blue", blue)
        self.bring_up(deployer, "green", green)
        deployer.set_traffic({"blue": 100})
        moved = False

        def ask(_: int) -> list[str]:
            answers = []
            while not moved:
                answers += deployer.invoke(GREAT)
            return [*answers, *deployer.invoke(GREAT)]

        with ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(ask, number) for number in range(4)]
            try:
                assert deployer.invoke(GREAT, "blue") == ["good"], "blue answers until its traffic moves away"
                deployer.set_traffic({"green": 100})
                deployer.delete("blue")
            finally:
                moved = True
            answers = [answer for call in calls for answer in call.result()]
        assert set(answers) <= {"good", "fine"}, "a request was answered by neither deployment"
        assert "fine" in answers, "after the traffic moved, no request was answered by green"

    def test_two_deployments_can_be_created_at_once(self, deployer: Deployer, blue: Bundle, green: Bundle) -> None:
        with ThreadPoolExecutor(2) as both:
            list(both.map(self.bring_up, [deployer] * 2, ["blue", "green"], [blue, green]))
        described = deployer.describe()
        assert described is not None, "the endpoint exists and is described as none"
        names = {each.name for each in described.deployments}
        assert names == {"blue", "green"}, "one of two deployments that were created at once was lost"

    def test_stopping_takes_everything_down_and_may_be_repeated(self, deployer: Deployer, blue: Bundle) -> None:
        self.bring_up(deployer, "blue", blue)
        deployer.set_traffic({"blue": 100})
        deployer.stop()
        deployer.stop()
        assert deployer.describe() is None, "an endpoint that was taken down is described as none"
        with pytest.raises(DeployError):
            deployer.invoke(GREAT)
        assert deployer.prepare().deployments == (), "a deployment that was taken down does not come back"
