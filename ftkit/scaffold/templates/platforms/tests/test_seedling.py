import sys

import pytest
from ftkit.testing.platforms import PlatformSuite

from ftkit_seedling import Seedling


class TestSeedling(PlatformSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        environment = {"TEAM": "shop"}
        return Seedling(command=("env",), python=sys.executable, environment=environment)
