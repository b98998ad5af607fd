"""The deployer `kserve` passes the kit, through the real Kubernetes client and with real servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ftkit_kserve.deployer import KServe

from ftkit.testing.deployers import DeployerSuite


class TestKServe(DeployerSuite):
    @pytest.fixture
    def component(self, endpoints: Callable[..., KServe]) -> KServe:
        return endpoints()
