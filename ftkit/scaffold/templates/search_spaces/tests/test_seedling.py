from dataclasses import dataclass
from typing import ClassVar

import pytest
from ftkit.encoders import Encoder
from ftkit.testing.search_spaces import SearchSpaceSuite

from ftkit_seedling import Seedling


@dataclass(frozen=True, kw_only=True)
class AnyEncoder(Encoder):
    """An encoder of any checkpoint."""

    name: ClassVar[str] = "any"


class TestSeedling(SearchSpaceSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(effort="thorough", further={"weight_decay": (0.0, 0.01)})

    @pytest.fixture
    def backbone(self) -> AnyEncoder:
        return AnyEncoder()


def test_only_the_thorough_space_has_epochs() -> None:
    assert [*Seedling().dimensions()] == ["learning_rate"]
    assert [*Seedling(effort="thorough").dimensions()] == ["learning_rate", "epochs", "dropout"]


@pytest.mark.parametrize("option", [{"usual": 0.0}, {"epochs": 1}])
def test_values_that_do_not_fit_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        Seedling(**option)  # type: ignore[arg-type]
