"""Errors name what is wrong with a checkpoint's folder, and how to repair it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

import pytest
from safetensors.torch import load_file, save_file

from ftkit.encoders import Encoder
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class AnyCheckpoint(Encoder):
    """An encoder of any checkpoint."""

    name = "any"


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "checkpoint")


def error_of(folder, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        open_checkpoint(AnyCheckpoint(checkpoint=str(folder), offline=True)).model(("bad", "good"))
    assert caught.value.hint
    return caught.value


def test_a_whole_folder_is_read(folder):
    checkpoint = open_checkpoint(AnyCheckpoint(checkpoint=str(folder)))
    assert checkpoint.limit == 128
    model = checkpoint.model(("bad", "good"), dropout=0.0)
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0.0


def test_a_backbone_without_a_checkpoint_is_named():
    with pytest.raises(CheckpointError, match="names no checkpoint"):
        open_checkpoint(AnyCheckpoint())


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/at/all", "~/nowhere/at/all"])
def test_a_missing_folder_is_not_taken_for_a_hub_id(path):
    error_of(path, "there is no such folder")


def test_a_missing_configuration_is_named(folder):
    (folder / "config.json").unlink()
    error_of(folder, "no config.json")


def test_missing_weights_are_named(folder):
    (folder / "model.safetensors").unlink()
    error_of(folder, "model.safetensors is missing")


def test_a_missing_tokenizer_is_named(folder):
    for path in [*folder.glob("tokenizer*"), *folder.glob("vocab*")]:
        path.unlink()
    error_of(folder, "no tokenizer")


def test_pickled_weights_are_refused_with_the_command_that_converts_them(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "save_pretrained" in error_of(folder, "pickle").hint


def test_damaged_weights_are_named(folder):
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    error_of(folder, "cannot be read")


def test_a_damaged_configuration_is_named(folder):
    (folder / "config.json").write_text("{")
    error_of(folder, "config.json cannot be used")


def test_a_damaged_tokenizer_is_named(folder):
    (folder / "tokenizer.json").write_text("{")
    error_of(folder, "tokenizer cannot be read")


def test_missing_weights_of_the_encoder_are_not_replaced_by_random_ones(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "layer.1." not in name}, folder / "model.safetensors")
    error_of(folder, "weights are missing")


@pytest.mark.parametrize("kind", ["t5", "bart", "vit"])
def test_a_model_that_is_neither_an_encoder_nor_a_decoder_is_refused(folder, kind):
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    error_of(folder, f"{kind!r} is neither an encoder nor a decoder")


def test_a_tokenizer_of_another_model_is_refused(folder):
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 7}
    (folder / "config.json").write_text(json.dumps(config))
    error_of(folder, "the model only 7")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0), ("batch_size", 0), ("accumulation", 0), ("evaluation_batch_size", 0), ("learning_rate", 0.0),
        ("adam_epsilon", 0.0), ("weight_decay", -0.1), ("max_grad_norm", -1.0), ("early_stopping", -1), ("warmup", 1.0),
        ("adam_beta1", 1.0), ("adam_beta2", -0.1), ("dropout", 1.0), ("max_length", 2), ("learning_rate", float("nan")),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        AnyCheckpoint(**{field: value})
