"""Training a part of a model: which weights move, which are kept, and that what is saved is a plain model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ftkit.contracts import TrialInterrupted
from ftkit.encoders import Encoder, checkpoint, layers
from ftkit.encoders.training import tuning
from ftkit.encoders.training.learner import Learner, find_hardware
from ftkit.errors import CheckpointError
from ftkit.testing.backbones import separable_data
from ftkit.testing.checkpoints import InterruptingCheckpoints


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rate: float = 1e-2
    batch_size: int = 8
    epochs: int = 3
    dropout: float | None = 0.1


@pytest.fixture
def encoder(tiny):
    return Tiny(checkpoint=str(tiny))


def always(*_, **__):
    return True


def saved(encoder, folder, data=None):
    encoder.fit(data or separable_data(rows=45), 1, always).save(folder)
    return load_file(folder / "model.safetensors")


def changed(encoder, weights):
    """The names of the weights that are no longer those of the checkpoint; of a head, which is new, all."""
    before = checkpoint.open_checkpoint(encoder).model(("a", "b", "c")).state_dict()
    assert before.keys() == weights.keys()
    head = {name for name in weights if name.startswith("classifier.") or ".pooler." in name}
    return head | {name for name in weights.keys() - head if not torch.equal(weights[name], before[name])}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("kind", "modules", "part"),
    [
        ("lora", (), ("query", "key", "value", "attention.output.dense")),
        ("lora", ("query", "intermediate.dense"), ("query", "intermediate.dense")),
        ("head", (), ()),
    ],
)
def test_only_the_chosen_part_changes_and_what_is_saved_is_a_plain_model(
    encoder, tmp_path, kind, modules, part, precision
):
    encoder = replace(encoder, tuning=kind, lora_modules=modules, precision=precision)
    weights = saved(encoder, tmp_path)
    expected = {name for name in weights if name.endswith(tuple(f"{each}.weight" for each in part))} if part else set()
    expected |= {name for name in weights if name.startswith("classifier.") or ".pooler." in name}
    assert changed(encoder, weights) == expected


@pytest.mark.parametrize("kind", ["lora", "head"])
def test_the_model_that_is_returned_answers_as_the_best_evaluation_did(encoder, tmp_path, kind):
    evaluations, data = [], separable_data(rows=60)

    def report(epoch, probabilities, **_):
        evaluations.append(probabilities)
        return epoch == 2

    encoder = replace(encoder, tuning=kind, precision="fp32", lora_dropout=0.1)
    encoder.fit(data, 1, report).save(tmp_path)
    answers = encoder.load(tmp_path).probabilities(data.valid.texts)
    np.testing.assert_allclose(answers, evaluations[1], atol=1e-4)
    assert not np.allclose(answers, evaluations[2], atol=1e-3)


@pytest.mark.parametrize("kind", ["lora", "head"])
def test_an_interrupted_training_of_a_part_ends_with_the_same_bytes(encoder, tmp_path, kind):
    encoder, data = replace(encoder, tuning=kind, precision="bf16", lora_dropout=0.1), separable_data(rows=24)
    straight = saved(encoder, tmp_path / "straight", data)
    checkpoints = InterruptingCheckpoints(tmp_path / "checkpoints")
    checkpoints.interrupt_after(5)
    with pytest.raises(TrialInterrupted):
        encoder.resume(data, 1, always, checkpoints)
    encoder.resume(data, 1, always, checkpoints).save(tmp_path / "went-on")
    went_on = load_file(tmp_path / "went-on" / "model.safetensors")
    assert all(torch.equal(value, went_on[name]) for name, value in straight.items())


@pytest.mark.parametrize(("kind", "share"), [("full", 1.0), ("lora", 0.4), ("head", 0.15)])
def test_frozen_weights_have_no_state_of_the_optimizer(encoder, kind, share):
    encoder = replace(encoder, tuning=kind, precision="bf16", lora_rank=2)
    hardware, number_format = find_hardware("bf16")
    model = tuning.prepared(checkpoint.open_checkpoint(encoder).model(("a", "b")), encoder)
    whole = 3 * sum(each.numel() for each in model.parameters())  # value and two moments
    state = Learner(model, encoder, hardware, number_format, 1).state()
    held = sum(value.numel() for name, value in state.items() if name.endswith((".value", ".mean", ".square", ".rows")))
    assert 0 < held <= share * whole * 1.01


def test_a_head_alone_is_trained_on_an_encoder_without_dropout(encoder):
    model = tuning.prepared(checkpoint.open_checkpoint(encoder).model(("a", "b"), 0.5), replace(encoder, tuning="head"))
    tuning.train_mode(model, replace(encoder, tuning="head"))
    ids = torch.arange(5, 15)[None]
    hidden = [model.bert(input_ids=ids).last_hidden_state for _ in range(2)]
    assert torch.equal(*hidden)
    assert not hidden[0].requires_grad
    assert not torch.equal(*(model(input_ids=ids).logits for _ in range(2)))


def test_modules_that_no_layer_has_are_refused_before_training_with_the_names_of_those_there_are(encoder):
    wrong = replace(encoder, tuning="lora", lora_modules=("q_proj",))
    with pytest.raises(CheckpointError, match="q_proj") as caught:
        wrong.foresee(separable_data(rows=12))
    assert "dense, key, query, value" in caught.value.hint


def test_lora_without_its_package_says_how_to_install_it(encoder, monkeypatch):
    from ftkit.bundled_plugins import how_to_install
    from ftkit.errors import PluginError

    monkeypatch.setattr(tuning.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match="peft") as caught:
        replace(encoder, tuning="lora").foresee(separable_data(rows=12))
    assert caught.value.hint == how_to_install("ftkit[lora]")
    assert replace(encoder, tuning="lora").requires == ("ftkit[lora]",)


@pytest.mark.parametrize("options", [{}, {"tuning": "lora", "lora_dropout": 0.2}, {"precision": "bf16"}])
def test_computing_layers_again_gives_the_same_weights(encoder, tmp_path, options):
    encoder = replace(encoder, **({"precision": "fp32"} | options))
    stored = saved(encoder, tmp_path / "stored")
    again = saved(replace(encoder, gradient_checkpointing=True), tmp_path / "again")
    for name, value in stored.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6, msg=name)


def test_layers_are_computed_again_in_the_backward_pass(encoder):
    hardware, number_format = find_hardware("fp32")
    calls = {}
    for again in (False, True):
        chosen = replace(encoder, gradient_checkpointing=again)
        model = tuning.prepared(checkpoint.open_checkpoint(encoder).model(("a", "b")), chosen)
        learner, counted = Learner(model, chosen, hardware, number_format, 1), []
        model.train()
        model.bert.encoder.layer[0].intermediate.register_forward_hook(lambda *_, counted=counted: counted.append(1))
        ids = torch.arange(5, 15)[None]
        learner.backward(learner.logits(ids, torch.ones_like(ids)).sum())
        calls[again] = len(counted)
    assert calls == {False: 1, True: 2}


def test_a_smaller_model_has_evenly_spaced_layers_of_the_checkpoint_and_is_saved_as_a_plain_one(tmp_path):
    from ftkit.testing.backbones import tiny_bert

    encoder = Tiny(checkpoint=str(tiny_bert(tmp_path / "deep", layers=6)), layers=3, tuning="head", precision="fp32")
    data = separable_data(rows=24)
    classifier = encoder.fit(data, 1, always)
    classifier.save(tmp_path / "saved")
    weights = load_file(tmp_path / "saved" / "model.safetensors")
    deep = checkpoint.open_checkpoint(encoder).model(("a", "b", "c")).state_dict()
    assert layers.evenly_spaced(6, 3) == [0, 2, 5]
    for own, former in enumerate((0, 2, 5)):
        name = "bert.encoder.layer.{}.output.dense.weight"
        assert torch.equal(weights[name.format(own)], deep[name.format(former)])
    assert not any(name.startswith("bert.encoder.layer.3.") for name in weights)
    np.testing.assert_allclose(
        encoder.load(tmp_path / "saved").probabilities(data.valid.texts),
        classifier.probabilities(data.valid.texts),
        atol=1e-5,
    )


def test_more_layers_than_the_checkpoint_has_are_refused_before_training(encoder):
    with pytest.raises(CheckpointError, match="has 2 layers, and layers = 5"):
        replace(encoder, layers=5).foresee(separable_data(rows=12))


def test_lower_layers_learn_at_lower_rates(encoder):
    model = checkpoint.open_checkpoint(encoder).model(("a", "b"))
    depths = layers.depths(model)
    assert depths["classifier.weight"] == depths["bert.pooler.dense.weight"] == 0
    assert depths["bert.encoder.layer.1.output.dense.weight"] == 1
    assert depths["bert.encoder.layer.0.output.dense.weight"] == 2
    assert depths["bert.embeddings.word_embeddings.weight"] == 3
    assert depths.keys() == dict(model.named_parameters()).keys()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_strong_decay_over_the_layers_leaves_the_lower_ones_nearly_as_they_were(encoder, tmp_path, precision):
    before = checkpoint.open_checkpoint(encoder).model(("a", "b", "c")).state_dict()
    moved = {}
    for decay in (1.0, 1e-3):
        chosen = replace(encoder, layer_decay=decay, precision=precision, max_grad_norm=0.0, weight_decay=0.0)
        weights = saved(chosen, tmp_path / str(decay))
        moved[decay] = {name: float((weights[name] - before[name]).abs().max()) for name in weights}
    names = ["bert.encoder.layer.1.output.dense.weight", "bert.encoder.layer.0.output.dense.weight"]
    names.append("bert.embeddings.word_embeddings.weight")
    rounded = 1e-6 if precision == "fp32" else 2e-3  # bf16 training begins with values in bf16
    for depth, name in enumerate(names, 1):
        assert moved[1e-3][name] < 20 * moved[1.0][name] * 1e-3**depth + rounded < moved[1.0][name]
