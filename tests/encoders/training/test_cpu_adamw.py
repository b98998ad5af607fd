"""AdamW one weight after the other, against torch's over all of them at once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ftkit.encoders.training.cpu import adamw
from ftkit.encoders.training.cpu.adamw import CpuAdamW
from ftkit.encoders.training.precision import parameter_groups

BETAS, EPSILON, DECAY, RATE = (0.9, 0.98), 1e-8, 0.1, 1e-2


class Model(nn.Module):
    """Large and small weights, biases, and a layer without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(40, 30)
        self.narrow = nn.Sequential(nn.Linear(30, 7), nn.LayerNorm(7), nn.Linear(7, 3))
        self.unused = nn.Linear(5, 5)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.narrow(torch.tanh(self.wide(values)))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(adamw, "SMALL", 1000)  # only the first layer's weight is large
    torch.manual_seed(1)
    return Model()


def divisor(optimizer: CpuAdamW, max_norm: float) -> torch.Tensor:
    return ((optimizer.squared_norm().sqrt() + 1e-6) / max_norm).clamp(min=1)


@pytest.mark.parametrize("max_norm", [0.05, 1e9], ids=["clipped", "unclipped"])
def test_steps_are_those_of_torch(model: Model, max_norm: float) -> None:
    other = copy.deepcopy(model)
    optimizer = CpuAdamW(parameter_groups(model, DECAY), BETAS, EPSILON)
    reference = torch.optim.AdamW(parameter_groups(other, DECAY), betas=BETAS, eps=EPSILON)
    for step in range(50):
        values = torch.randn(16, 40)
        for each in (model, other):
            each(values).square().sum().backward()
        for group in reference.param_groups:
            group["lr"] = RATE * (step + 1) / 50
        norm = nn.utils.clip_grad_norm_(other.parameters(), max_norm)
        torch.testing.assert_close(optimizer.squared_norm().sqrt(), norm)
        reference.step()
        reference.zero_grad()
        optimizer.step(RATE * (step + 1) / 50, divisor(optimizer, max_norm))
        assert all(each.grad is None for each in model.parameters())
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        if not name.startswith("unused"):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_fp32_parameters_are_updated_in_place(model: Model) -> None:
    optimizer = CpuAdamW(parameter_groups(model, DECAY), BETAS, EPSILON)
    addresses = {each.data_ptr() for each in model.parameters()}
    assert {value.data_ptr() for _, value in optimizer.values()} == addresses
    assert {id(each) for each, _ in optimizer.values()} == {id(each) for each in model.parameters()}
    for each, value in optimizer.values():
        assert value.shape == each.shape


def test_updates_too_small_for_bf16_add_up(model: Model) -> None:
    """A hundred steps, each a fifth of the smallest change that bf16 can represent."""
    with torch.no_grad():
        for each in model.parameters():
            each.fill_(1.0)
    model.to(torch.bfloat16)
    optimizer = CpuAdamW(parameter_groups(model, 0.0), BETAS, EPSILON)
    for _ in range(100):
        for each in model.parameters():
            each.grad = torch.ones_like(each)
        optimizer.step(2**-9 / 5, torch.ones(()))
    for each, value in optimizer.values():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, torch.full_like(value, 1 - 20 * 2**-9), rtol=1e-3, atol=0)
        torch.testing.assert_close(each.detach(), value.to(torch.bfloat16), rtol=0, atol=0)


def test_bf16_gradients_update_fp32_values_as_torch_would(model: Model) -> None:
    model.to(torch.bfloat16)
    masters = [each.detach().float().requires_grad_() for each in model.parameters()]
    optimizer = CpuAdamW(parameter_groups(model, 0.0), BETAS, EPSILON)
    reference = torch.optim.AdamW(masters, lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=0.0)
    for _ in range(20):
        for each, master in zip(model.parameters(), masters, strict=True):
            each.grad = torch.randn_like(each)
            master.grad = each.grad.float()
        nn.utils.clip_grad_norm_(masters, 0.5)
        reference.step()
        optimizer.step(RATE, divisor(optimizer, 0.5))
    values = {id(each): value for each, value in optimizer.values()}
    for each, master in zip(model.parameters(), masters, strict=True):
        torch.testing.assert_close(values[id(each)], master.detach(), rtol=1e-5, atol=1e-6)


def test_a_model_without_trained_parameters_has_no_norm() -> None:
    assert CpuAdamW([], BETAS, EPSILON).squared_norm() == 0
