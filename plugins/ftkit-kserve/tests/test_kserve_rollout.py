"""Rollouts on the loopback cluster: step by step, a broken model, the Open Inference Protocol through the gateway, and no secret anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from ftkit_kserve.deployer import KServe

from ftkit.contracts.events import DeploymentChanged, Event
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import GOOD, toy_bundle

if TYPE_CHECKING:
    from tests.kserve.loopback import Loopback

Make = Callable[..., KServe]
QUICK = Rollout(canary=(25,), bake=0.1, poll=0.05, analysis=False)


def test_one_model_takes_over_from_another_and_a_broken_one_does_not(
    endpoints: Make, kserve: Loopback, tmp_path: Path
) -> None:
    deployer, events = endpoints(), list[Event]()
    roll_out(deployer, toy_bundle(tmp_path / "one"), "blue", QUICK, events.append)
    endpoint = roll_out(deployer, toy_bundle(tmp_path / "two", ("poor", "fine")), "green", QUICK, events.append)
    assert endpoint.traffic == {"green": 100}
    assert [each.name for each in endpoint.deployments] == ["green"]
    steps = [each.step for each in events if isinstance(each, DeploymentChanged) and each.deployment == "green"]
    assert list(dict.fromkeys(steps)) == ["created", "is starting", "became ready", "passed the smoke test"]

    broken = toy_bundle(tmp_path / "broken", beside={"weights.npy": "no weights"})
    with pytest.raises(DeployError, match="failed to start: kserve-container: CrashLoopBackOff") as failed:
        roll_out(deployer, broken, "red", QUICK, events.append)
    assert "the toy model cannot be read" in str(failed.value), "the log of the server"
    after = deployer.describe()
    assert after is not None
    assert [(each.name, each.traffic, each.state) for each in after.deployments] == [("green", 100, "ready")]
    assert sorted(path.name for path in (kserve.claim / "ftkit" / "kit").iterdir()) == ["green"]

    secret = kserve.api.all("secrets")[0]
    key = base64.b64decode(secret["data"]["key"]).decode()
    inputs = [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [GOOD]}]
    headers = {"Host": deployer.hostname, "Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=kserve.gateway.url, trust_env=False, headers=headers) as client:
        answer = client.post("/v2/models/kit/infer", json={"inputs": inputs})
        assert answer.json()["outputs"][0]["data"] == ["fine"]
        assert (
            client.post("/v2/models/kit/infer", json={"inputs": inputs}, headers={"Authorization": ""}).status_code
            == 401
        )

    told = [*map(str, events), str(failed.value), str(after), json.dumps(kserve.api.all("inferenceservices"))]
    assert not [text for text in told if key in text]
    assert "reviews" not in after.key_command
    assert "get secret kit-key" in after.key_command

    deployer.stop()
    left = {plural: kserve.api.all(plural) for plural in ("inferenceservices", "httproutes", "secrets", "pods")}
    assert not any(left.values()), left
    assert list((kserve.claim / "ftkit").iterdir()) == []
