"""The CPU's own attention against torch's: values, gradients, masks, shared heads, and dropout by the factors it drew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ftkit.encoders.training.cpu import attention as attentions
from ftkit.encoders.training.cpu.dropout import Blocks

ROWS, HEADS, LENGTH, WIDTH = 3, 4, 6, 8


@pytest.fixture(params=["at once", "row by row"])
def _pieces(request, monkeypatch):
    """Whether all rows are computed at once, or each by itself."""
    if request.param == "row by row":
        monkeypatch.setattr(attentions, "PIECE", 1)


def drawn(*heads: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(ROWS, count, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True) for count in heads]


def masked(rows: int = ROWS, heads: int = 1, queries: int = LENGTH) -> torch.Tensor:
    mask = torch.zeros(rows, heads, queries, LENGTH, dtype=torch.float64)
    mask[-1, :, :, 4:] = -1e9
    return mask


def gradients(found: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    pull = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view(found.shape)
    return list(torch.autograd.grad((found * pull).sum(), inputs))


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("mask", [None, masked(), masked(1), masked(ROWS, HEADS), masked(ROWS, 1, 1)])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_it_is_what_torch_computes(mask, scaling):
    inputs = drawn(HEADS, HEADS, HEADS)
    found, _ = attentions.attention(nn.Module(), *inputs, mask, scaling=scaling)
    expected = nn.functional.scaled_dot_product_attention(*inputs, attn_mask=mask, scale=scaling).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_pieces")
def test_heads_may_share_keys_and_values():
    inputs = drawn(HEADS, 2, 2)
    found, _ = attentions.attention(nn.Module(), *inputs, masked())
    repeated = [inputs[0], *(each.repeat_interleave(2, 1) for each in inputs[1:])]
    expected = nn.functional.scaled_dot_product_attention(*repeated, attn_mask=masked()).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


def test_a_bias_that_is_learned_gets_its_gradient():
    inputs = [*drawn(HEADS, HEADS, HEADS), masked().requires_grad_()]
    found, _ = attentions.attention(nn.Module(), *inputs)
    expected = nn.functional.scaled_dot_product_attention(*inputs[:3], attn_mask=inputs[3]).transpose(1, 2)
    for one, other in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_pieces")
def test_dropout_multiplies_weights_by_the_factors_it_drew_forward_and_back():
    inputs = drawn(HEADS, HEADS, HEADS)
    module = nn.Module().train()
    module.ftkit_blocks = Blocks(5)
    found, _ = attentions.attention(module, *inputs, masked(), dropout=0.3)
    query, key, value = inputs
    weights = torch.softmax(query @ key.transpose(2, 3) * WIDTH**-0.5 + masked(), -1)
    factors = Blocks(5).drop(torch.ones_like(weights), 0.3)
    assert 0.1 < float((factors == 0).double().mean()) < 0.5
    expected = ((weights * factors) @ value).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mask", [None, masked()])
def test_a_module_without_a_layer_for_it_has_its_dropout_too(mask):
    inputs = drawn(HEADS, HEADS, HEADS)
    module = nn.Module().train()
    torch.manual_seed(1)
    found, _ = attentions.attention(module, *inputs, mask, dropout=0.5)
    kept, _ = attentions.attention(module.eval(), *inputs, mask, dropout=0.5)
    assert not torch.allclose(found, kept)
    torch.manual_seed(1)
    query, key, value = inputs
    scores = query @ key.transpose(2, 3) * WIDTH**-0.5
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    expected = (nn.functional.dropout(weights, 0.5) @ value).transpose(1, 2)
    torch.testing.assert_close(found, expected)


def test_nothing_is_dropped_when_nothing_is_learned():
    module = nn.Module().eval()
    module.ftkit_blocks = Blocks(5)
    inputs = drawn(HEADS, HEADS, HEADS)
    one, _ = attentions.attention(module, *inputs, None, dropout=0.3)
    other, _ = attentions.attention(nn.Module(), *inputs, None)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
