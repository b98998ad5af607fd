"""Deployments that answer by one of their bundle's engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit.contracts.settings import Rollout
from ftkit.errors import BundleError, DeployError
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import BAD, GOOD, toy_bundle


def test_a_deployment_answers_by_its_engine(endpoint_named: Callable[..., LocalDeployer], tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "bundle", engines={"half": True})
    deployer = endpoint_named(engine="half")
    request = {"data": [{"text": GOOD}, {"text": BAD}], "scores": True}
    roll_out(deployer, bundle, "one", Rollout(bake=0), lambda _: None)
    expected = [row.tolist() for row in bundle.classifier_of("half").probabilities([GOOD, BAD])]
    assert expected != [row.tolist() for row in bundle.probabilities([GOOD, BAD])]
    answer = deployer.invoke(request)
    assert [[row["scores"][name] for name in bundle.classes] for row in answer] == expected
    state = deployer.folder.read()
    assert state
    assert [each.engine for each in state.deployments] == ["half"], "it is stored for the next start of the machine"


@pytest.mark.parametrize("passed", [True, False])
def test_by_default_each_machine_chooses_among_the_engines_that_passed(
    endpoint_named: Callable[..., LocalDeployer], tmp_path: Path, passed: bool
) -> None:
    bundle = toy_bundle(tmp_path / "bundle", engines={"half": passed})
    deployer = endpoint_named()
    roll_out(deployer, bundle, "one", Rollout(bake=0), lambda _: None)
    described = deployer.describe()
    assert described
    (one,) = described.deployments
    assert one.engine in ({"native", "half"} if passed else {"native"}), "the description names it"
    request = {"data": [{"text": GOOD}], "scores": True}
    assert deployer.invoke(request)[0]["score"] == bundle.classifier_of(one.engine).probabilities([GOOD]).max()
    assert ("takes for a text" in deployer.logs("one")) is passed
    state = deployer.folder.read()
    assert state
    assert [each.engine for each in state.deployments] == ["auto"], "another machine may choose another"


def test_an_engine_that_no_test_passed_is_refused_and_leaves_nothing(
    endpoint_named: Callable[..., LocalDeployer], tmp_path: Path
) -> None:
    deployer = endpoint_named(engine="half")
    deployer.prepare()
    with pytest.raises(DeployError, match="no test has passed the answers of the engine 'half'"):
        deployer.create("one", toy_bundle(tmp_path / "unjudged", engines={"half": False}).folder)
    with pytest.raises(BundleError, match="no engine 'half'") as caught:
        deployer.create("one", toy_bundle(tmp_path / "without").folder)
    assert "It has: native." in caught.value.hint
    endpoint = deployer.describe()
    assert endpoint is None or endpoint.deployments == ()
