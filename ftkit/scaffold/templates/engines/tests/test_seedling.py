from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from ftkit.errors import StageError
from ftkit.testing.backbones import BackboneSuite, separable_data
from ftkit.testing.engines import EngineSuite

from ftkit_seedling import Seedling


class TestSeedling(BackboneSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(epochs=3)


class TestSeedlingEngines(EngineSuite):
    tolerances: ClassVar[Mapping[str, float]] = {"half": 0.01}

    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(epochs=3, engines=("half",))


def test_training_goes_on_from_a_model_with_the_same_classes(tmp_path: Path) -> None:
    data = separable_data()
    Seedling().fit(data, 1, lambda *_, **__: True).save(tmp_path)
    more = Seedling(start=tmp_path, epochs=1, learning_rate=1e-6, schedule="constant")
    assert more.fit(data, 1, lambda *_, **__: True).probabilities(["ship wave sail"]).argmax() == 0


def test_a_model_with_other_classes_is_no_start(tmp_path: Path) -> None:
    data = separable_data()
    Seedling(epochs=1).fit(data, 1, lambda *_, **__: True).save(tmp_path)
    (tmp_path / "model.json").write_text('{"classes": ["a", "b"], "lowercase": true}')
    with pytest.raises(StageError, match="classes"):
        Seedling(start=tmp_path).fit(data, 1, lambda *_, **__: True)
