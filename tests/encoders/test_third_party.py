"""A third party adds a Hugging Face checkpoint as a backbone with under 15 lines of code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from ftkit import plugins
from ftkit.testing.backbones import BackboneSuite

PLUGIN = Path(__file__).parent / "tutorial" / "ftkit_tiny_encoder.py"


@pytest.fixture(scope="module")
def plugin():
    spec = importlib.util.spec_from_file_location("ftkit_tiny_encoder", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_plugin_is_under_15_lines_of_code():
    lines = [line for line in PLUGIN.read_text().splitlines() if line.strip() and not line.lstrip().startswith('"""')]
    assert len(lines) < 15


def test_the_hook_offers_the_backbone(plugin):
    installed = plugins.collect([], {"ftkit-tiny-encoder": plugin})
    assert installed.find("backbones", "modernbert-base") is plugin.ModernBert


@pytest.fixture(scope="module")
def tiny_modernbert(tiny, tmp_path_factory):
    """A ModernBERT with random weights: another architecture than BERT."""
    import torch
    from transformers import AutoTokenizer, ModernBertConfig, ModernBertModel

    folder = tmp_path_factory.mktemp("modernbert")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.save_pretrained(folder)
    config = ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=128, local_attention=16, initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id, cls_token_id=tokenizer.cls_token_id, bos_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id, eos_token_id=tokenizer.sep_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    ModernBertModel(config).save_pretrained(folder)
    return folder


class TestThirdPartyBackbone(BackboneSuite):
    @pytest.fixture
    def component(self, plugin, tiny_modernbert):
        return plugin.ModernBert(checkpoint=str(tiny_modernbert), epochs=5, batch_size=8, learning_rate=3e-3)
