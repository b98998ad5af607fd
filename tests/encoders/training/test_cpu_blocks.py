"""A layer's blocks as single operations, against transformers' modules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from ftkit.encoders.training.cpu import blocks, dropout
from tests.encoders.test_packing import assert_same, inputs, trained
from tests.encoders.test_packing_on_cpu import model


def replaced(network: Any) -> list[str]:
    """The names of the modules that compute otherwise."""
    return [name for name, module in network.named_modules() if "forward" in vars(module)]


@pytest.mark.parametrize(
    ("kind", "count"), [("bert", 4), ("roberta", 4), ("electra", 4), ("camembert", 4), ("deberta-v2", 3)]
)
def test_logits_and_gradients_are_those_of_the_modules(kind: str, count: int) -> None:
    network, named = model(kind).train(), inputs()
    ours = copy.deepcopy(network)
    blocks.replace(ours)
    assert len(replaced(ours)) == count * network.config.num_hidden_layers
    assert_same(trained(ours, lambda: ours(**named)), trained(network, lambda: network(**named)))
    assert ours.state_dict().keys() == network.state_dict().keys()
    assert [*dict(ours.named_parameters())] == [*dict(network.named_parameters())]


def test_weights_that_are_not_trained_get_no_gradient_and_the_others_do() -> None:
    network = model("bert").train()
    blocks.replace(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("layer.1.output" in name)
    _, gradients = trained(network, lambda: network(**inputs()))
    assert sorted(gradients) == sorted(name for name, each in network.named_parameters() if each.requires_grad)


def test_in_bf16_answers_are_about_as_near_to_single_precision_as_those_of_the_modules() -> None:
    network, named = model("bert").eval().requires_grad_(False), inputs()
    exact = network(**named).logits.softmax(-1)
    halves = [copy.deepcopy(network), copy.deepcopy(network)]
    blocks.replace(halves[1])
    theirs, ours = (
        float((each.to(torch.bfloat16)(**named).logits.float().softmax(-1) - exact).abs().max()) for each in halves
    )
    assert ours < max(2 * theirs, 0.02)


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
def test_a_block_whose_outputs_would_differ_stays_as_it_is(activation: str) -> None:
    network = model("bert", hidden_act=activation)
    blocks.replace(network)
    assert len(replaced(network)) == 2 * network.config.num_hidden_layers
    assert not any("intermediate" in name for name in replaced(network))


def test_a_mask_multiplies_and_adds_across_its_slices() -> None:
    mask = dropout.DropoutMask([torch.tensor([0.0, 2.0]), torch.tensor([2.0, 0.0, 2.0])])
    values, added = torch.arange(1.0, 6.0), torch.full((5,), 10.0)
    mask.multiply_and_add(values, added, values)
    assert values.tolist() == [10, 14, 16, 10, 20]
