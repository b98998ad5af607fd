"""A backbone of the zoo passes the kit; what its architectures have of their own is in test_zoo_architectures.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ftkit_zoo.encoders import ElectraSmall

from ftkit.testing.backbones import BackboneSuite


class TestElectraSmall(BackboneSuite):
    @pytest.fixture
    def component(self, tiny: Callable[[str], Path]) -> ElectraSmall:
        return ElectraSmall(checkpoint=str(tiny("electra-small")), epochs=5, batch_size=8, learning_rate=5e-3)
