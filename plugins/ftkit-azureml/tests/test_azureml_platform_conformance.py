"""The platform `azureml` does what every platform must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ftkit_azureml import AzurePipelines

from ftkit.testing.platforms import PlatformSuite

if TYPE_CHECKING:
    from tests.azure.azure import Azure


class TestAzurePipelines(PlatformSuite):
    @pytest.fixture
    def component(self, azureml: Azure) -> AzurePipelines:
        from tests.azure.workspace import GROUP, SUBSCRIPTION, WORKSPACE

        return AzurePipelines(subscription=SUBSCRIPTION, resource_group=GROUP, workspace=WORKSPACE, poll=0.5)
