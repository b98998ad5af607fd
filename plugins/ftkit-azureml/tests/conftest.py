"""What every test of this plugin has: Azure on this machine, no client of an earlier test, and small plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftkit.testing import toys

if TYPE_CHECKING:
    from ftkit_azureml.endpoint import ManagedEndpoint

    from tests.azure.azure import Azure


@pytest.fixture
def azureml(azure: Azure, azure_folder: Path) -> Iterator[Azure]:
    """Azure with a config.json in the working directory, and the toys' plugin installed here and where deployments are served."""
    pytest.importorskip("azure.ai.ml")
    from ftkit_azureml import client

    client.forget()
    with toys.install(azure_folder / "plugins"):
        yield azure
        azure.operations.wait()
    client.forget()


@pytest.fixture
def endpoints(azureml: Azure, azure_scoring: Azure) -> Callable[..., ManagedEndpoint]:
    """Makes deployers whose deployments are really served."""
    from ftkit_azureml.endpoint import ManagedEndpoint

    def make(endpoint: str = "kit-endpoint", **options: object) -> ManagedEndpoint:
        return ManagedEndpoint(endpoint=endpoint, **options)  # type: ignore[arg-type]

    return make
