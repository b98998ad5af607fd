"""Requests to a managed endpoint of the loopback Azure, served by Microsoft's own server, at Application Insights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from ftkit_appinsights.settings import AZURE

from ftkit.contracts import Outcome
from ftkit.errors import PluginError
from ftkit.runner import run
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD

if TYPE_CHECKING:
    from tests.azure.azure import Azure

DEPLOY = {"use": "managed-endpoint", "endpoint": "telemetry-endpoint", "telemetry": True}


@pytest.fixture
def toy(azure_folder: Path) -> Iterator[Path]:
    """A working directory with the workspace's config.json, and the toys as a plugin."""
    pytest.importorskip("azure.ai.ml")
    from ftkit_azureml import client

    client.forget()
    with toys.install(azure_folder / "plugins"):
        yield azure_folder
    client.forget()


def deployed(folder: Path, **options: Any) -> Outcome:
    return run(
        toys.plan(folder, {"rollout.bake": 0.0, "rollout.poll": 0.05, "deploy": DEPLOY | options}), lambda _: None
    )


def test_a_managed_endpoint_with_telemetry_sends_its_requests(
    telemetry_ingestion: Any, azure: Azure, azure_scoring: Azure, toy: Path
) -> None:
    from tests.azure.v2.endpoints import KEY

    outcome = deployed(toy, environment_variables={"FTKIT_DRIFT_WINDOW": "100"})
    assert outcome.endpoint is not None
    headers = {"Authorization": f"Bearer {KEY}", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    for _ in range(20):
        answer = requests.post(outcome.endpoint.url, json={"data": [{"text": GOOD}] * 5}, headers=headers, timeout=60)
        assert answer.json() == ["good"] * 5

    telemetry_ingestion.wait(
        lambda: (
            any(each["properties"].get("ftkit.rows") == "5" for each in telemetry_ingestion.requests)
            and bool(telemetry_ingestion.events("ftkit.drift"))
        )
    )
    traced = [each for each in telemetry_ingestion.requests if each["tags"]["ai.operation.id"] == "a" * 32]
    properties = traced[0]["properties"]
    assert traced[0]["tags"]["ai.operation.parentId"] == "b" * 16
    assert (properties["ftkit.endpoint"], properties["ftkit.deployment"]) == ("telemetry-endpoint", outcome.deployment)
    assert properties["ftkit.bundle"] and properties["ftkit.run"] == outcome.run
    assert float(properties["ftkit.duration_ms"]) > float(properties["ftkit.computed_ms"]) > 0
    drift = telemetry_ingestion.events("ftkit.drift")[-1]
    assert (drift["ftkit.drift.rows"], drift["ftkit.deployment"]) == ("100", outcome.deployment)
    assert not any(text in telemetry_ingestion.wire for text in (GOOD, BAD))

    # The plugin came with the deployment: its wheel lies beside the scoring script.
    server = azure.scoring.server("telemetry-endpoint", outcome.deployment)
    wheels = [path.name.partition("-")[0] for path in (server.folder / "code").rglob("*.whl")]
    assert "ftkit_appinsights" in wheels
    key = os.environ[AZURE].split("=")[1].partition(";")[0]
    assert key not in server.log.read_text()
    assert key not in "".join(path.read_text(errors="replace") for path in outcome.folder.rglob("*") if path.is_file())


def test_telemetry_without_a_destination_is_an_error_before_anything_is_trained(
    telemetry_off: None, azure: Azure, toy: Path
) -> None:
    with pytest.raises(PluginError, match="nothing says where it goes") as caught:
        deployed(toy)
    assert "APPLICATIONINSIGHTS_CONNECTION_STRING" in caught.value.hint
    assert not [each for each in azure.exchanges if each.request.method == "PUT"]


def test_in_a_pipeline_the_machine_that_knows_where_telemetry_goes_deploys(
    telemetry_ingestion: Any, azure: Azure, toy: Path
) -> None:
    from ftkit import remote

    plan = toys.plan(toy, {"deploy": DEPLOY})
    assert remote.client_part(plan) == "deploy"
    assert remote.client_part(toys.plan(toy, {"deploy": DEPLOY | {"telemetry": False}})) == ""
