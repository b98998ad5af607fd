"""A recipe as a HyperDrive pipeline against the loopback Azure: the real SDK, and steps that really run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftkit import endpoints, recipe, runner
from ftkit.contracts import Outcome
from ftkit.events import Event
from ftkit.testing import toys
from tests.azure.azure import Azure

RECIPE = (
    toys.RECIPE.replace('on = "local"', 'on = "hyperdrive"\npoll = 0.2\n')
    + """
[search.space]
learning_rate = [0.0005, 1.0]

[[promote]]
use = "metric-floor"
floor = 0.6

[[promote]]
use = "beats-champion"

[registry]
use = "mlflow"
model = "toys"

[deploy]
use = "local"
endpoint = "toys"

[rollout]
bake = 0.0
"""
)


@pytest.fixture
def toy(tmp_path: Path, azure_folder: Path) -> Iterator[Path]:
    """A recipe over the toys in a folder with the workspace's config.json."""
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    with toys.install(tmp_path / "plugins"):
        yield path
        for deployer in endpoints.known().values():
            deployer.stop()


def run(path: Path, overrides: dict[str, Any] | None = None, **options: Any) -> tuple[Outcome, list[Event]]:
    told: list[Event] = []
    return runner.run(recipe.load(path, overrides, **options), told.append), told


NOWHERE = {"registry.use": "none", "deploy.use": "none"}


def test_the_steps_search_decide_and_deploy_and_the_client_ends_as_a_local_run(azure: Azure, toy: Path) -> None:
    try:
        outcome, told = run(toy, NOWHERE)
    finally:
        for each in azure.v1.runs.runs.values():
            print(each["runId"], each.get("name"), each["status"], each.get("error"))
            for name in azure.v1.runs.files(each["runId"]):
                if "log" in name:
                    print(
                        azure.storage.blobs[
                            f"ftkitstore/azureml-blobstore/ExperimentRun/dcid.{each['runId']}/{name}"
                        ].data.decode()[-3000:]
                    )
        for each in azure.complaints:
            print("COMPLAINT", each[:3000])
    for event in told:
        print(event)
    assert outcome.promoted
