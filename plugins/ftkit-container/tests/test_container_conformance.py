"""The container deployer passes the kit for deployers, on a stand-in for docker: no real engine has run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ftkit_container.deployer import ContainerDeployer

from ftkit.testing.bundles import toy_bundle
from ftkit.testing.deployers import DeployerSuite


class TestContainerDeployer(DeployerSuite):
    @pytest.fixture
    def component(self, container_endpoint: Callable[..., ContainerDeployer]) -> ContainerDeployer:
        return container_endpoint()

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        """Of a backbone that is installed: of another one nobody knows what its image needs, so `create` refuses it."""
        return toy_bundle(tmp_path / "broken-bundle", beside={"weights.npy": "no numbers"}).folder
