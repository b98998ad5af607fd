"""The platform `hyperdrive` does what every platform must."""

from __future__ import annotations

import pytest
from ftkit_hyperdrive import HyperDrive

from ftkit.testing.platforms import PlatformSuite
from tests.azure.azure import Azure
from tests.azure.workspace import GROUP, SUBSCRIPTION, WORKSPACE


class TestHyperDrive(PlatformSuite):
    @pytest.fixture
    def component(self, azure: Azure) -> HyperDrive:
        return HyperDrive(subscription=SUBSCRIPTION, resource_group=GROUP, workspace=WORKSPACE, poll=0.5)
