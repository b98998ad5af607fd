"""Rows in a stream without padding against padded rows: logits and gradients. A GPU computes them so; here a processor does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

from ftkit.encoders import first_position, packing
from ftkit.encoders.training import tuning

SIZES = {
    "hidden_size": 32, "dim": 32, "num_hidden_layers": 3, "n_layers": 3, "num_attention_heads": 4, "n_heads": 4,
    "intermediate_size": 48, "hidden_dim": 48, "vocab_size": 100, "max_position_embeddings": 60, "embedding_size": 16,
    "type_vocab_size": 2, "num_labels": 3, "initializer_range": 0.3, "pad_token_id": 1,
}  # fmt: skip
LENGTHS = (1, 17, 40, 2, 40)


def model(kind: str, probability: float = 0.0) -> Any:
    torch.manual_seed(5)
    dropouts = dict.fromkeys(
        ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"), probability
    )
    config = CONFIG_MAPPING[kind](**SIZES, **dropouts, seq_classif_dropout=probability)
    return AutoModelForSequenceClassification.from_config(config, attn_implementation=packing.register())


def inputs(typed: bool = False) -> dict[str, torch.Tensor]:
    """Padded rows of these lengths; where they are typed, the second half of each is of the other type."""
    longest = max(LENGTHS)
    places = torch.arange(longest)
    mask = (places < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.randint(3, 100, mask.shape, generator=torch.Generator().manual_seed(1))
    named = {"input_ids": torch.where(mask.bool(), ids, 1), "attention_mask": mask}
    if typed:
        named["token_type_ids"] = (places >= torch.tensor(LENGTHS)[:, None] // 2).long() * mask
    return named


def trained(network: Any, call: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of all parameters that have one."""
    network.zero_grad()
    logits = call().logits
    (logits * torch.linspace(-1, 1, logits.numel()).view(logits.shape)).sum().backward()
    return logits.detach(), {name: each.grad for name, each in network.named_parameters() if each.grad is not None}


Training = tuple[torch.Tensor, dict[str, torch.Tensor]]


def assert_same(found: Training, expected: Training) -> None:
    """Logits and gradients are the same but for rounding, and no parameter is without a gradient that it should have."""
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    assert found[1].keys() == expected[1].keys()
    largest = max(float(each.abs().max()) for each in expected[1].values())
    for name, each in expected[1].items():  # that of the keys' bias is zero but for rounding
        torch.testing.assert_close(found[1][name], each, rtol=1e-3, atol=1e-5 * largest, msg=name)


@pytest.mark.parametrize("variant", ["as it is", "the first of the last layer", "layers computed again", "types"])
@pytest.mark.parametrize("kind", packing.ARCHITECTURES)
def test_logits_and_gradients_are_those_of_padded_rows(kind: str, variant: str) -> None:
    if variant == "types" and kind == "distilbert":
        pytest.skip("it knows no types of tokens")
    network, named = model(kind).train(), inputs(variant == "types")
    expectation = trained(network, lambda: network(**named))
    ours = copy.deepcopy(network)
    if variant == "the first of the last layer" and not first_position.skip_other_positions(ours):
        assert kind == "distilbert"
    packed = packing.of(ours)
    if variant == "layers computed again":
        tuning.checkpoint_layers(ours, None)
    assert packed is not None
    assert packing.of(ours) is packed is packing.known(ours)
    assert_same(trained(ours, lambda: packed.logits(ours, named, ours.device)), expectation)
    with torch.inference_mode():
        packed.logits(ours, named, ours.device)
    torch.testing.assert_close(
        ours(**named).logits, expectation[0], rtol=1e-4, atol=1e-5, msg="padded rows are still answered"
    )


def test_no_value_is_computed_for_padding() -> None:
    network = model("bert").eval()
    packed = packing.of(network)
    assert packed is not None
    seen: list[int] = []
    network.bert.encoder.layer[0].intermediate.register_forward_hook(
        lambda *hooked: seen.append(hooked[2].shape[:2].numel())
    )
    with torch.inference_mode():
        packed.logits(network, inputs(), network.device)
    assert seen == [sum(LENGTHS)]


def test_dropout_is_drawn_for_the_weights_of_attention() -> None:
    network = model("bert", 0.5).train()
    packed = packing.of(network)
    assert packed is not None
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Dropout) and not name.endswith("self.dropout"):
            module.p = 0.0
    logits = [packed.logits(network, inputs(), network.device).logits for _ in range(2)]
    assert not torch.equal(*logits)


@pytest.mark.parametrize("kind", ["mpnet", "deberta-v2", "modernbert"])
def test_models_whose_attention_knows_more_of_positions_are_padded(kind: str) -> None:
    torch.manual_seed(5)
    sizes = {name: value for name, value in SIZES.items() if kind != "modernbert" or name != "dim"}
    network = AutoModelForSequenceClassification.from_config(CONFIG_MAPPING[kind](**sizes))
    assert packing.of(network) is None


def test_a_model_that_answers_otherwise_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "of_rows", lambda hidden, rows: hidden[:, rows.offsets[1:] - 1])  # the last tokens
    assert packing.of(model("bert").eval()) is None
    monkeypatch.undo()
    monkeypatch.setattr(packing.Packing, "logits", lambda *_: 1 / 0)
    network = model("bert").eval()
    assert packing.of(network) is None
    assert network(**inputs()).logits.shape == (len(LENGTHS), 3)
