"""Attention for CPUs against torch's: values, gradients, masks, shared heads, and dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ftkit.encoders.training.cpu import attention as attentions
from ftkit.encoders.training.cpu.dropout import DropoutMasks, set_masks

ROWS, HEADS, LENGTH, WIDTH = 3, 4, 6, 8


@pytest.fixture(params=["at once", "row by row"])
def _pieces(request, monkeypatch):
    """Whether all rows are computed at once, or each row alone."""
    if request.param == "row by row":
        monkeypatch.setattr(attentions, "PIECE", 1)


def random_inputs(*heads: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(ROWS, count, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True) for count in heads]


def padding_mask(rows: int = ROWS, heads: int = 1, queries: int = LENGTH) -> torch.Tensor:
    mask = torch.zeros(rows, heads, queries, LENGTH, dtype=torch.float64)
    mask[-1, :, :, 4:] = -1e9
    return mask


def gradients(output: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    factors = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    return list(torch.autograd.grad((output * factors).sum(), inputs))


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(
    "mask", [None, padding_mask(), padding_mask(1), padding_mask(ROWS, HEADS), padding_mask(ROWS, 1, 1)]
)
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_values_and_gradients_are_those_of_torch(mask, scaling):
    inputs = random_inputs(HEADS, HEADS, HEADS)
    output, _ = attentions.attention(nn.Module(), *inputs, mask, scaling=scaling)
    expected = nn.functional.scaled_dot_product_attention(*inputs, attn_mask=mask, scale=scaling).transpose(1, 2)
    torch.testing.assert_close(output, expected)
    for one, other in zip(gradients(output, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_pieces")
def test_heads_may_share_keys_and_values():
    inputs = random_inputs(HEADS, 2, 2)
    output, _ = attentions.attention(nn.Module(), *inputs, padding_mask())
    repeated = [inputs[0], *(each.repeat_interleave(2, 1) for each in inputs[1:])]
    expected = nn.functional.scaled_dot_product_attention(*repeated, attn_mask=padding_mask()).transpose(1, 2)
    torch.testing.assert_close(output, expected)
    for one, other in zip(gradients(output, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


def test_a_bias_that_is_learned_gets_its_gradient():
    inputs = [*random_inputs(HEADS, HEADS, HEADS), padding_mask().requires_grad_()]
    output, _ = attentions.attention(nn.Module(), *inputs)
    expected = nn.functional.scaled_dot_product_attention(*inputs[:3], attn_mask=inputs[3]).transpose(1, 2)
    for one, other in zip(gradients(output, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_pieces")
def test_dropout_uses_the_same_mask_forward_and_backward():
    inputs = random_inputs(HEADS, HEADS, HEADS)
    module = nn.Module().train()
    set_masks(module, DropoutMasks(5))
    output, _ = attentions.attention(module, *inputs, padding_mask(), dropout=0.3)
    query, key, value = inputs
    weights = torch.softmax(query @ key.transpose(2, 3) * WIDTH**-0.5 + padding_mask(), -1)
    mask = DropoutMasks(5).drop(torch.ones_like(weights), 0.3)
    assert 0.1 < float((mask == 0).double().mean()) < 0.5
    expected = ((weights * mask) @ value).transpose(1, 2)
    torch.testing.assert_close(output, expected)
    for one, other in zip(gradients(output, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mask", [None, padding_mask()])
def test_a_module_without_a_dropout_layer_drops_too(mask):
    inputs = random_inputs(HEADS, HEADS, HEADS)
    module = nn.Module().train()
    torch.manual_seed(1)
    output, _ = attentions.attention(module, *inputs, mask, dropout=0.5)
    undropped, _ = attentions.attention(module.eval(), *inputs, mask, dropout=0.5)
    assert not torch.allclose(output, undropped)
    torch.manual_seed(1)
    query, key, value = inputs
    scores = query @ key.transpose(2, 3) * WIDTH**-0.5
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    expected = (nn.functional.dropout(weights, 0.5) @ value).transpose(1, 2)
    torch.testing.assert_close(output, expected)


def test_nothing_is_dropped_outside_training():
    module = nn.Module().eval()
    set_masks(module, DropoutMasks(5))
    inputs = random_inputs(HEADS, HEADS, HEADS)
    one, _ = attentions.attention(module, *inputs, None, dropout=0.3)
    other, _ = attentions.attention(nn.Module(), *inputs, None)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
