from collections.abc import Iterator
from pathlib import Path

import pytest
from ftkit.testing import toys
from ftkit.testing.deployers import DeployerSuite

from ftkit_seedling import Seedling


class TestSeedling(DeployerSuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Iterator[Seedling]:
        with toys.install(tmp_path / "plugins"):  # the servers load the kit's models by it
            folder = tmp_path / "endpoints"
            yield Seedling(endpoint="kit", folder=folder, headers={"X-Team": "shop"})


@pytest.mark.parametrize("option", [{"port": 70_000}, {"timeout": 0.0}, {"endpoint": "a/b"}])
def test_values_that_do_not_fit_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        Seedling(**({"endpoint": "kit"} | option))  # type: ignore[arg-type]
