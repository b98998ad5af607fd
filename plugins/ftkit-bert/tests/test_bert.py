"""BERT's backbones with the real vocabulary and tiny random weights, and the search spaces over their fields."""

from __future__ import annotations

import os
from pathlib import Path

import ftkit_bert
import numpy as np
import pytest
import torch
from ftkit_bert.backbones import BertBaseCased, BertBaseUncased, BertLargeCased, DistilBertBaseCased
from ftkit_bert.spaces import BertPaper, Original

from ftkit import plugins
from ftkit.contracts.space import Choice, grid
from ftkit.testing.backbones import BackboneSuite, tiny_bert
from ftkit.testing.search_spaces import SearchSpaceSuite

SHARED = Path(os.environ.get("FTKIT_SHARED", Path(__file__).parents[3].parent / "shared"))
VOCABULARY = SHARED / "data" / "tokenizers" / "bert-base-cased" / "vocab.txt"

BACKBONES = [BertBaseCased, BertBaseUncased, BertLargeCased, DistilBertBaseCased]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _vocabulary(path: Path) -> list[str]:
    if not path.is_file():
        pytest.skip(
            f"the real vocabulary is missing: set FTKIT_SHARED to the folder that holds {path.relative_to(SHARED)}"
        )
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(tiny_bert(tmp_path_factory.mktemp("bert"), _vocabulary(VOCABULARY), width=32))


class TestBertBaseCased(BackboneSuite):
    @pytest.fixture
    def component(self, bert):
        return BertBaseCased(checkpoint=bert, epochs=5, batch_size=8, learning_rate=5e-3)

    def test_cased_words_stay_cased(self, loaded):
        ship, upper = loaded.tokenizer.encode(["ship Ship"])[0]
        assert loaded.tokenizer.wrapped.convert_ids_to_tokens([ship, upper]) == ["ship", "Ship"]


@pytest.fixture(scope="module")
def distilbert(tmp_path_factory):
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    folder = tmp_path_factory.mktemp("distilbert")
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert(folder))
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=128,
        initializer_range=0.1,
    )  # fmt: skip
    torch.manual_seed(0)
    DistilBertModel(config).save_pretrained(folder)
    return str(folder)


class TestDistilBertBaseCased(BackboneSuite):
    @pytest.fixture
    def component(self, distilbert):
        return DistilBertBaseCased(checkpoint=distilbert, epochs=5, batch_size=8, learning_rate=5e-3)


class TestOriginal(SearchSpaceSuite):
    @pytest.fixture
    def component(self):
        return Original()

    @pytest.fixture
    def backbone(self):
        return BertBaseCased()


class TestBertPaper(SearchSpaceSuite):
    @pytest.fixture
    def component(self):
        return BertPaper()

    @pytest.fixture
    def backbone(self):
        return BertBaseCased()


def test_all_backbones_and_spaces_are_offered():
    installed = plugins.collect([], {"bert": ftkit_bert})
    assert installed.names("backbones") == [
        "bert-base-cased", "bert-base-uncased", "bert-large-cased", "distilbert-base-cased",
    ]  # fmt: skip
    assert installed.names("search_spaces") == ["bert-paper", "original"]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("space", [Original, BertPaper])
def test_spaces_name_fields_of_every_backbone_and_values_they_take(backbone, space):
    for field, dimension in space().dimensions().items():
        for value in grid(dimension):
            assert getattr(backbone(**{field: value}), field) == value


def test_original_searches_seven_learning_rates_and_nothing_else():
    dimensions = Original().dimensions()
    assert dimensions["learning_rate"] == Choice((3.5e-5, 4e-5, 4.5e-5, 5e-5, 5.5e-5, 6e-5, 6.5e-5))
    assert [field for field, dimension in dimensions.items() if len(grid(dimension)) > 1] == ["learning_rate"]


def test_bert_paper_is_a_grid_of_18():
    assert np.prod([len(grid(dimension)) for dimension in BertPaper().dimensions().values()]) == 18
