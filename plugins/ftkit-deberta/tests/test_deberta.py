"""DeBERTa-v3 with its real SentencePiece model and tiny random weights."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import ftkit_deberta
import pytest
import torch
from ftkit_deberta.backbones import DebertaV3Base, DebertaV3Large, DebertaV3Small

from ftkit import plugins
from ftkit.encoders.inference import fast_tokenizer
from ftkit.testing.backbones import ODD_TEXTS, BackboneSuite

SHARED = Path(os.environ.get("FTKIT_SHARED", Path(__file__).parents[3].parent / "shared"))
PIECES = SHARED / "data" / "tokenizers" / "deberta-v3" / "spm.model"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The files that the hub has for DeBERTa-v3: a SentencePiece model, and no tokenizer.json."""
    if not PIECES.is_file():
        path = PIECES.relative_to(SHARED)
        pytest.skip(f"the real SentencePiece model is missing: set FTKIT_SHARED to the folder that holds {path}")
    from transformers import DebertaV2Config, DebertaV2Model

    folder = tmp_path_factory.mktemp("deberta")
    shutil.copy(PIECES, folder / "spm.model")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    config = DebertaV2Config(
        vocab_size=128_100, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, initializer_range=0.2,
        max_position_embeddings=128, layer_norm_eps=1e-7, pooler_hidden_size=16, pooler_dropout=0,
    )  # fmt: skip
    torch.manual_seed(0)
    DebertaV2Model(config).save_pretrained(folder)
    return str(folder)


class TestDebertaV3Small(BackboneSuite):
    @pytest.fixture
    def component(self, checkpoint):
        return DebertaV3Small(checkpoint=checkpoint, epochs=5, batch_size=8, learning_rate=1e-2)

    def test_pieces_are_those_of_the_sentencepiece_model(self, loaded):
        import sentencepiece

        pieces = sentencepiece.SentencePieceProcessor(model_file=str(PIECES))
        for text in ("Shares rose after the bank cut its rates.", "naïve café, 100 %", "two  spaces"):
            assert loaded.tokenizer.encode([text])[0] == pieces.encode(text)

    def test_ids_are_the_same_without_transformers(self, fitted, loaded):
        """The tokenizers library rounds the scores of these pieces, so they are read exactly."""
        fast_tokenizer.write(fitted.folder)
        fast = fast_tokenizer.read(fitted.folder)
        assert fast is not None
        assert fast.tokenizer.fingerprint == loaded.tokenizer.fingerprint
        texts = [
            *fast_tokenizer.PROBES,
            *ODD_TEXTS,
            *("".join(each) for each in itertools.product("!a.", repeat=6)),
            "=" * 999,
        ]
        assert fast.tokenizer.encode(texts) == loaded.tokenizer.encode(texts)
        assert fast.tokenizer.row([7], 512).tolist() == loaded.tokenizer.row([7], 512).tolist()

    def test_rows_begin_with_cls_and_end_with_sep(self, loaded):
        row = loaded.tokenizer.rows(["a ship"], 512)[0]
        assert loaded.tokenizer.wrapped.convert_ids_to_tokens([row[0], row[-1]]) == ["[CLS]", "[SEP]"]


def test_all_sizes_are_offered():
    assert plugins.collect([], {"deberta": ftkit_deberta}).names("backbones") == [
        "deberta-v3-base", "deberta-v3-large", "deberta-v3-small",
    ]  # fmt: skip


@pytest.mark.parametrize("backbone", [DebertaV3Small, DebertaV3Base, DebertaV3Large])
def test_each_size_names_its_checkpoint(backbone):
    assert backbone().checkpoint == f"microsoft/{backbone.name}"
