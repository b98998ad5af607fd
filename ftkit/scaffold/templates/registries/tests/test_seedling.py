from pathlib import Path

import pytest
from ftkit.testing.bundles import toy_bundle
from ftkit.testing.registries import RegistrySuite, make_lineage

from ftkit_seedling import Seedling


class TestSeedling(RegistrySuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Seedling:
        return Seedling(model="reviews", folder=tmp_path / "registry", tags={"team": "shop"})


def test_links_digits_and_metrics_as_they_are_chosen(tmp_path: Path) -> None:
    registry = Seedling(
        model="reviews",
        folder=tmp_path,
        copies="links",
        digits=3,
        metrics=("accuracy",),
    )
    bundle = toy_bundle(tmp_path / "bundle")
    version = registry.register(bundle.folder, make_lineage(bundle))
    assert (version.version, version.metrics) == ("001", {"accuracy": 0.8})
    stored = tmp_path / "reviews" / "versions" / "001" / "bundle" / "manifest.json"
    assert stored.samefile(bundle.folder / "manifest.json")


@pytest.mark.parametrize("model", ["", "a/b", ".hidden"])
def test_a_model_that_names_no_folder_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match="model"):
        Seedling(model=model)
