"""DeBERTa's attention on CPUs against transformers': logits and gradients, whatever the length, the pieces and the layer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from ftkit.encoders import disentangled_attention, first_position
from ftkit.encoders.disentangled_attention import DisentangledAttention
from ftkit.encoders.training.cpu import deberta, dropout
from tests.encoders.test_packing import assert_same

ROWS = 3


def model(share: bool = True, probability: float = 0.0, **options: Any) -> Any:
    """A tiny DeBERTa whose attention is far from even; distances from 8 on share buckets."""
    torch.manual_seed(3)
    settings = {
        "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 100,
        "relative_attention": True, "position_buckets": 16, "max_position_embeddings": 80, "norm_rel_ebd": "layer_norm",
        "share_att_key": share, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
        "hidden_dropout_prob": probability, "attention_probs_dropout_prob": probability, "num_labels": 3,
        "initializer_range": 0.3, "pooler_dropout": 0.0,
    }  # fmt: skip
    return DebertaV2ForSequenceClassification(DebertaV2Config(**(settings | options))).train()


def rows(length: int) -> dict[str, torch.Tensor]:
    """Token ids and a mask; the second row is half padding."""
    ids = torch.randint(3, 100, (ROWS, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[1, (length + 1) // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def trained(network: Any, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of all parameters that have one, for a loss on every logit."""
    network.zero_grad()
    logits = network(**inputs).logits
    (logits * torch.linspace(-1, 1, logits.numel()).view(logits.shape)).sum().backward()
    gradients = {name: each.grad for name, each in network.named_parameters() if each.grad is not None}
    return logits.detach(), gradients


def replaced(network: Any, first: bool = False) -> Any:
    ours = copy.deepcopy(network)
    disentangled_attention.replace(ours)
    layers = [each for each in ours.modules() if isinstance(each, DisentangledAttention)]
    assert len(layers) == network.config.num_hidden_layers
    if first:
        assert first_position.skip_other_positions(ours)
    return ours


@pytest.mark.parametrize(
    "piece", [1_000_000, 4 * 40 * 40, 40 * 40, 1], ids=["whole", "some heads", "some rows", "each row"]
)
@pytest.mark.parametrize("first", [False, True], ids=["all positions", "the first of the last layer"])
@pytest.mark.parametrize("share", [False, True], ids=["own projections", "shared projections"])
@pytest.mark.parametrize("length", [1, 2, 9, 40, 80])
def test_logits_and_gradients_are_those_of_transformers(
    monkeypatch: pytest.MonkeyPatch, length: int, share: bool, first: bool, piece: int
) -> None:
    monkeypatch.setattr(deberta, "PIECE", piece)
    theirs, inputs = model(share), rows(length)
    assert_same(trained(replaced(theirs, first), inputs), trained(theirs, inputs))


def test_buckets_of_single_distances_and_lengths_beyond_them_are_those_of_transformers() -> None:
    theirs = model(position_buckets=-1, max_relative_positions=16)
    inputs = rows(40)  # distances from 16 on are cut
    torch.testing.assert_close(
        replaced(theirs)(**inputs).logits, theirs(**inputs).logits, rtol=1e-4, atol=1e-5, msg="distances are cut"
    )


def test_dropout_is_of_weights_and_positions_and_the_same_in_both_passes() -> None:
    """With a mask that is drawn anew from the same seed, the gradient is the slope of the loss."""
    network = replaced(model(probability=0.3)).double()
    masks = dropout.replace(network, seed=1)
    state, inputs = masks.state(), rows(9)
    parameter = network.deberta.encoder.layer[0].attention.self.key_proj.weight

    def loss() -> torch.Tensor:
        masks.restore(state)
        return network(**inputs).logits.square().sum()

    (first, second) = (loss() for _ in range(2))
    assert first == second
    network.eval()
    assert abs(float((first - network(**inputs).logits.square().sum()).detach())) > 1e-3
    network.train()
    loss().backward()
    gradient = float(parameter.grad[2, 3])
    with torch.no_grad():
        step, slopes = 1e-5, []
        for sign in (1, -1):
            parameter[2, 3] += sign * step
            slopes.append(float(loss()))
            parameter[2, 3] -= sign * step
    assert (slopes[0] - slopes[1]) / (2 * step) == pytest.approx(gradient, rel=1e-3)


def test_in_bf16_answers_are_about_as_near_to_single_precision_as_those_of_transformers() -> None:
    theirs = model().eval().requires_grad_(False)
    halves = [each.to(torch.bfloat16) for each in (replaced(theirs), copy.deepcopy(theirs))]
    differences = []
    for half in halves:
        moved = [
            half(**rows(each)).logits.float().softmax(-1) - theirs(**rows(each)).logits.softmax(-1)
            for each in (9, 40, 80)
        ]
        differences.append(max(float(each.abs().max()) for each in moved))
    ours, other = differences
    assert ours < max(3 * other, 0.06)


def test_a_length_that_an_evaluation_has_met_first_can_be_trained() -> None:
    disentangled_attention._buckets.cache_clear()
    network, inputs = replaced(model()), rows(23)
    with torch.inference_mode():
        expected = network(**inputs).logits
    logits, _ = trained(network, inputs)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_layers_of_another_kind_stay_as_they_are() -> None:
    for options in ({"pos_att_type": ["c2p"]}, {"pos_att_type": []}):
        network = model(**options)
        disentangled_attention.replace(network)
        assert not any(isinstance(each, DisentangledAttention) for each in network.modules())


def test_attentions_can_still_be_asked_for() -> None:
    theirs, inputs = model().eval(), rows(9)
    asked = replaced(theirs)(**inputs, output_attentions=True)
    torch.testing.assert_close(asked.attentions[0], theirs(**inputs, output_attentions=True).attentions[0])


@pytest.mark.parametrize(
    "buckets", [{}, {"position_buckets": -1, "max_relative_positions": 16}], ids=["buckets", "cut"]
)
@pytest.mark.parametrize("first", [False, True], ids=["all positions", "the first of the last layer"])
def test_an_exported_program_answers_as_transformers_at_every_length(first: bool, buckets: dict[str, int]) -> None:
    theirs = model(**buckets).eval().requires_grad_(False)
    dynamic = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    shapes = {"input_ids": dynamic, "attention_mask": dynamic}
    ours = replaced(theirs, first)
    program = torch.export.export(ours, (), rows(16), dynamic_shapes=shapes, strict=False).module()
    for length in (2, 9, 40, 79):
        expected = theirs(**rows(length)).logits
        torch.testing.assert_close(program(**rows(length)).logits, expected, rtol=1e-4, atol=1e-5, msg=str(length))
