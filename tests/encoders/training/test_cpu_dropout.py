"""Dropout from blocks is dropout: as many zeros, the same mean, the same gradient, and repeatable."""

from __future__ import annotations

import pytest
import torch

from ftkit.encoders.training.cpu.dropout import SIZE, Blocks, Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [10_000, SIZE + 12_345])
def test_it_drops_the_share_asked_for_and_scales_the_rest(dtype, size):
    values = torch.ones(size, dtype=dtype)
    found = Blocks(1).drop(values, 0.2)
    dropped = (found == 0).float().mean()
    assert float(dropped) == pytest.approx(0.2, abs=0.02)
    assert float(found.max()) == pytest.approx(1.25, rel=0.01)


def test_the_gradient_passes_where_the_value_passed():
    values = torch.randn(7, 11, requires_grad=True)
    found = Blocks(1).drop(values, 0.5)
    found.sum().backward()
    torch.testing.assert_close(values.grad, (found != 0).float() * 2)


def test_two_uses_differ_and_a_seed_repeats():
    values = torch.ones(1000)
    blocks, again = Blocks(3), Blocks(3)
    first, second = blocks.drop(values, 0.3), blocks.drop(values, 0.3)
    assert not torch.equal(first, second)
    assert torch.equal(again.drop(values, 0.3), first)
    assert torch.equal(again.drop(values, 0.3), second)


def test_uses_are_as_good_as_independent():
    blocks, values = Blocks(3), torch.ones(2000)
    masks = torch.stack([blocks.drop(values, 0.5) - 1 for _ in range(200)])  # each value -1 or 1
    between = masks @ masks.T / masks.shape[1] - torch.eye(200)
    assert between.abs().max() < 0.15
    assert masks.mean(dim=0).abs().max() < 0.35


def test_no_value_is_dropped_when_nothing_is_learned():
    layer = Dropout(0.5, Blocks(1)).eval()
    assert torch.equal(layer(torch.ones(100)), torch.ones(100))
