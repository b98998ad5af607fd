from pathlib import Path

import pytest
from ftkit.errors import CheckpointError
from ftkit.testing.backbones import BackboneSuite, separable_data

from ftkit_seedling import Seedling


class TestSeedling(BackboneSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(smoothing=0.5)


def test_words_that_are_left_out_are_not_learned(tmp_path: Path) -> None:
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("ship\nbread\nguitar\n")
    backbone = Seedling(vocabulary=vocabulary, stop_words=("bread",), count="once", min_count=2)
    model = backbone.fit(separable_data(), 1, lambda *_, **__: True)
    assert model.vocabulary == ("guitar", "ship")


def test_a_vocabulary_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="vocabulary"):
        Seedling(vocabulary=tmp_path / "none.txt").fit(separable_data(), 1, lambda *_, **__: True)


@pytest.mark.parametrize("option", [{"smoothing": 0.0}, {"min_count": 0}, {"pattern": "("}, {"weights": {"a": 0.0}}])
def test_values_that_do_not_fit_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        Seedling(**option)  # type: ignore[arg-type]
