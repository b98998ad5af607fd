"""Rows in a stream as a processor trains them, with ftkit's own attention, against padded rows: logits and gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

from ftkit.encoders import disentangled_attention, first_position, packing
from ftkit.encoders.batches import stream_length
from ftkit.encoders.stream import Rows
from ftkit.encoders.training import tuning
from ftkit.encoders.training.cpu import attention, blocks, deberta, dropout, places
from tests.encoders.test_packing import LENGTHS, SIZES, assert_same, inputs, trained

KINDS = (*packing.ARCHITECTURES, "deberta-v2")
DEBERTA = {
    "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "pooler_hidden_size": 32, "type_vocab_size": 0,
    "embedding_size": 32, "max_position_embeddings": 80,
}  # fmt: skip


def model(kind: str, probability: float = 0.0, **options: Any) -> Any:
    """A tiny encoder with the attention that processors train with."""
    attention.register()
    torch.manual_seed(5)
    dropouts = dict.fromkeys(
        ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "pooler_dropout"),
        probability,
    )
    sizes = SIZES | (DEBERTA if kind == "deberta-v2" else {}) | options
    config = CONFIG_MAPPING[kind](**sizes, **dropouts, seq_classif_dropout=probability)
    chosen = {} if kind == "deberta-v2" else {"attn_implementation": attention.NAME}
    network = AutoModelForSequenceClassification.from_config(config, **chosen)
    if kind == "deberta-v2":
        disentangled_attention.replace(network)
    return network


def assert_trains_as(network: Any, ours: Any, named: dict[str, torch.Tensor]) -> None:
    """Logits and gradients of a stream are those of padded rows."""
    packed = packing.known(ours)
    assert packed is not None
    found = trained(ours, lambda: packed.logits(ours, named, ours.device))
    assert_same(found, trained(network, lambda: network(**named)))


@pytest.mark.parametrize("pieces", [1_000_000, 1], ids=["whole", "in pieces"])
@pytest.mark.parametrize(
    "variant", ["as it is", "the first of the last layer", "in blocks", "layers computed again", "types"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_padded_rows(
    monkeypatch: pytest.MonkeyPatch, kind: str, variant: str, pieces: int
) -> None:
    if variant == "types" and kind in ("distilbert", "deberta-v2"):
        pytest.skip("it knows no types of tokens")
    for module in (attention, deberta):
        monkeypatch.setattr(module, "PIECE", pieces)
    network, named = model(kind).train(), inputs(variant == "types")
    ours = copy.deepcopy(network)
    if variant != "as it is":
        assert first_position.skip_other_positions(ours) is (kind != "distilbert")
    assert packing.of(ours) is packing.known(ours) is not None
    if variant in ("in blocks", "layers computed again"):
        blocks.replace(ours)
    if variant == "layers computed again":
        tuning.checkpoint_layers(ours, None)
    assert_trains_as(network, ours, named)


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_rows_of_one_length_are_neither_filled_nor_gathered(kind: str) -> None:
    network = model(kind).eval()
    packed = packing.of(network)
    assert packed is not None
    seen: list[tuple[int, ...]] = []
    network.base_model.encoder.layer[0].intermediate.register_forward_hook(
        lambda *hooked: seen.append(tuple(hooked[2].shape[:2]))
    )
    named = {"input_ids": torch.full((3, 16), 7), "attention_mask": torch.ones(3, 16, dtype=torch.long)}
    with torch.inference_mode():
        packed.logits(network, named, network.device)
        packed.logits(network, inputs(), network.device)
    assert seen == [(3, 16), (1, stream_length(sum(LENGTHS) + 1))]


@pytest.mark.parametrize("options", [{"conv_kernel_size": 3}, {"pos_att_type": ["c2p"]}], ids=["conv", "another kind"])
def test_a_deberta_that_looks_at_tokens_elsewhere_is_padded(options: dict[str, Any]) -> None:
    network = model("deberta-v2", **options).eval()
    assert packing.of(network) is None
    assert network(**inputs()).logits.shape == (len(LENGTHS), 3)


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_a_stream_touches_the_embeddings_of_its_own_tokens_alone(kind: str) -> None:
    network, named = model(kind).train(), inputs()
    packed = packing.of(network)
    assert packed is not None
    trained(network, lambda: packed.logits(network, named, network.device))
    table = network.get_input_embeddings().weight
    tokens = named["input_ids"][named["attention_mask"].bool()].unique()
    assert set(table.grad.abs().sum(1).nonzero()[:, 0].tolist()) <= set(tokens.tolist())


@pytest.mark.parametrize("replaced", [False, True], ids=["layers", "blocks"])
@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_dropout_is_the_same_in_both_passes(kind: str, replaced: bool) -> None:
    """With masks that are drawn anew from the same seed, the gradient is the slope of the loss."""
    network = model(kind, 0.2).train()
    assert first_position.skip_other_positions(network)
    packed = packing.of(network)
    assert packed is not None
    if replaced:
        blocks.replace(network)
    network.double()
    masks = dropout.replace(network, seed=1)
    state, named = masks.state(), inputs()

    def loss() -> torch.Tensor:
        masks.restore(state)
        return packed.logits(network, named, network.device).logits.square().sum()

    assert loss() == loss()
    network.zero_grad()
    loss().backward()
    layers = network.base_model.encoder.layer
    for layer in (layers[0], layers[-1]):
        for parameter in (layer.attention.self.get_submodule(_key(kind)).weight, layer.output.dense.bias):
            gradient, flat = float(parameter.grad.view(-1)[5]), parameter.detach().view(-1)
            slopes = []
            for sign in (1e-5, -1e-5):
                flat[5] += sign
                slopes.append(float(loss().detach()))
                flat[5] -= sign
            assert (slopes[0] - slopes[1]) / 2e-5 == pytest.approx(gradient, rel=1e-3, abs=1e-6)


def _key(kind: str) -> str:
    return "key_proj" if kind == "deberta-v2" else "key"


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_low_rank_matrices_beside_keys_and_values_are_computed(kind: str) -> None:
    """Their layers are not torch's own, so no shorter way goes around them."""

    class Doubled(torch.nn.Linear):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(states)

    network = model(kind).train()
    for layer in network.base_model.encoder.layer:
        layer.attention.self.get_submodule(_key(kind)).__class__ = Doubled
    ours = copy.deepcopy(network)
    assert first_position.skip_other_positions(ours)
    assert packing.of(ours) is not None
    blocks.replace(ours)
    assert_trains_as(network, ours, inputs())


def test_padding_gets_the_vectors_of_a_token_that_belongs_to_no_row() -> None:
    rows = Rows(torch.tensor([0, 3, 8]), 3, 5, 9)
    states = torch.arange(9.0)[None, :, None].expand(1, 9, 4).contiguous().requires_grad_()
    for heads_first in (False, True):
        states.grad = None
        found = places.Places(rows, 2, heads_first=heads_first)
        by_head = found.by_head(states)
        by_row = by_head.transpose(0, 1) if heads_first else by_head
        assert by_row.shape == (2, 2, found.length, 2)
        assert by_row[:, 0, :6, 0].tolist() == [[0, 1, 2, 8, 8, 8], [3, 4, 5, 6, 7, 8]]
        assert found.joined(by_head)[0, :8].equal(states[0, :8])
        by_head.sum().backward()
        assert states.grad[0, :, 0].tolist() == [1] * 8 + [0], "what padding has taken gets no gradient"
    assert found.mask(torch.float32)[:, 0, 0, :6].eq(0).tolist() == [[True] * 3 + [False] * 3, [True] * 5 + [False]]
    scores = torch.zeros(2, 2, found.length, found.length)
    found.forbid(scores, 0)
    assert scores[:, 1, 4].eq(0).sum(-1).tolist() == [3, 5]
    later = torch.zeros(1, 2, found.length, found.length)
    found.forbid(later, 1)
    assert later.equal(scores[1:]), "the rows from a place on"
