from pathlib import Path

import pytest
from ftkit.testing.deployers import DeployerSuite

from ftkit_seedling import Seedling


class TestSeedling(DeployerSuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Seedling:
        folder = tmp_path / "endpoints"
        return Seedling(endpoint="kit", folder=folder, headers={"X-Team": "shop"})


@pytest.mark.parametrize("option", [{"port": 70_000}, {"timeout": 0.0}, {"endpoint": "a/b"}])
def test_values_that_do_not_fit_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        Seedling(**({"endpoint": "kit"} | option))  # type: ignore[arg-type]
