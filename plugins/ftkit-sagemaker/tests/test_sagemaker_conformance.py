"""The deployer passes the kit, through the real SDK and with real servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ftkit_sagemaker import SageMaker

from ftkit.testing.deployers import DeployerSuite


class TestSageMaker(DeployerSuite):
    @pytest.fixture
    def component(self, sagemaker: Callable[..., SageMaker]) -> SageMaker:
        return sagemaker()
