"""The local deployer passes the kit for deployers, with real server processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit.testing.deployers import DeployerSuite


class TestLocalDeployer(DeployerSuite):
    @pytest.fixture
    def component(self, endpoint_named: Callable[..., LocalDeployer]) -> LocalDeployer:
        return endpoint_named()
