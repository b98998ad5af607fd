"""Dropout from blocks: the share of zeros, the scale, the gradient, and repeatability by seed."""

from __future__ import annotations

import pytest
import torch

from ftkit.encoders.training.cpu.dropout import BLOCK_SIZE, Dropout, DropoutMasks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [10_000, BLOCK_SIZE + 12_345])
def test_the_given_share_is_dropped_and_the_rest_is_scaled(dtype, size):
    values = torch.ones(size, dtype=dtype)
    result = DropoutMasks(1).drop(values, 0.2)
    share = (result == 0).float().mean()
    assert float(share) == pytest.approx(0.2, abs=0.02)
    assert float(result.max()) == pytest.approx(1.25, rel=0.01)


def test_dropped_values_have_no_gradient():
    values = torch.randn(7, 11, requires_grad=True)
    result = DropoutMasks(1).drop(values, 0.5)
    result.sum().backward()
    torch.testing.assert_close(values.grad, (result != 0).float() * 2)


def test_two_uses_differ_and_the_same_seed_repeats_them():
    values = torch.ones(1000)
    masks, again = DropoutMasks(3), DropoutMasks(3)
    first, second = masks.drop(values, 0.3), masks.drop(values, 0.3)
    assert not torch.equal(first, second)
    assert torch.equal(again.drop(values, 0.3), first)
    assert torch.equal(again.drop(values, 0.3), second)


def test_masks_of_different_uses_are_nearly_uncorrelated():
    masks, values = DropoutMasks(3), torch.ones(2000)
    signs = torch.stack([masks.drop(values, 0.5) - 1 for _ in range(200)])  # (uses, values), each -1 or 1
    correlation = signs @ signs.T / signs.shape[1] - torch.eye(200)
    assert correlation.abs().max() < 0.15
    assert signs.mean(dim=0).abs().max() < 0.35


def test_no_value_is_dropped_outside_training():
    layer = Dropout(0.5, DropoutMasks(1)).eval()
    assert torch.equal(layer(torch.ones(100)), torch.ones(100))
