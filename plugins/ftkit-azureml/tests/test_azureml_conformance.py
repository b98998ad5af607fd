"""Deployer and registry pass the kits, through the real SDK and with real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ftkit_azureml import AzureModels, ManagedEndpoint

from ftkit.testing.bundles import toy_bundle
from ftkit.testing.deployers import DeployerSuite
from ftkit.testing.registries import RegistrySuite

if TYPE_CHECKING:
    from tests.azure.azure import Azure


class TestManagedEndpoint(DeployerSuite):
    @pytest.fixture
    def component(self, endpoints: Callable[..., ManagedEndpoint]) -> ManagedEndpoint:
        return endpoints()

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        """A bundle that nobody can load; one of a backbone that is not installed would be refused before anything is created."""
        return toy_bundle(tmp_path / "broken-bundle", beside={"weights.npy": "no weights"}).folder


class TestAzureModels(RegistrySuite):
    @pytest.fixture
    def component(self, azureml: Azure) -> AzureModels:
        return AzureModels(model="reviews")
