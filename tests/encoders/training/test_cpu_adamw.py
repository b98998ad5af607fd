"""AdamW one weight after the other, against torch's own over all of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ftkit.encoders.training.cpu import adamw as optimizers
from ftkit.encoders.training.cpu.adamw import Optimizer
from ftkit.encoders.training.precision import groups

BETAS, EPSILON, DECAY, RATE = (0.9, 0.98), 1e-8, 0.1, 1e-2


class Model(nn.Module):
    """Weights large and small, biases, and one that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(40, 30)
        self.narrow = nn.Sequential(nn.Linear(30, 7), nn.LayerNorm(7), nn.Linear(7, 3))
        self.unused = nn.Linear(5, 5)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.narrow(torch.tanh(self.wide(values)))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(optimizers, "SMALL", 1000)  # the first layer's weight alone is large
    torch.manual_seed(1)
    return Model()


def divisor(own: Optimizer, most: float) -> torch.Tensor:
    return ((own.squared_norm().sqrt() + 1e-6) / most).clamp(min=1)


@pytest.mark.parametrize("most", [0.05, 1e9], ids=["clipped", "free"])
def test_steps_are_those_of_torch(model: Model, most: float) -> None:
    other = copy.deepcopy(model)
    own = Optimizer(groups(model, DECAY), BETAS, EPSILON)
    theirs = torch.optim.AdamW(groups(other, DECAY), betas=BETAS, eps=EPSILON)
    for step in range(50):
        values = torch.randn(16, 40)
        for each in (model, other):
            each(values).square().sum().backward()
        for group in theirs.param_groups:
            group["lr"] = RATE * (step + 1) / 50
        norm = nn.utils.clip_grad_norm_(other.parameters(), most)
        torch.testing.assert_close(own.squared_norm().sqrt(), norm)
        theirs.step()
        theirs.zero_grad()
        own.step(RATE * (step + 1) / 50, divisor(own, most))
        assert all(each.grad is None for each in model.parameters())
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        if not name.startswith("unused"):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_fp32_parameters_are_trained_where_they_lie(model: Model) -> None:
    own = Optimizer(groups(model, DECAY), BETAS, EPSILON)
    places = {each.data_ptr() for each in model.parameters()}
    assert {value.data_ptr() for _, value in own.values()} == places
    assert {id(each) for each, _ in own.values()} == {id(each) for each in model.parameters()}
    for each, value in own.values():
        assert value.shape == each.shape


def test_updates_too_small_for_bf16_add_up(model: Model) -> None:
    """A hundred steps, each of a fifth of what bf16 could tell from nothing."""
    with torch.no_grad():
        for each in model.parameters():
            each.fill_(1.0)
    model.to(torch.bfloat16)
    own = Optimizer(groups(model, 0.0), BETAS, EPSILON)
    for _ in range(100):
        for each in model.parameters():
            each.grad = torch.ones_like(each)
        own.step(2**-9 / 5, torch.ones(()))
    for each, value in own.values():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, torch.full_like(value, 1 - 20 * 2**-9), rtol=1e-3, atol=0)
        torch.testing.assert_close(each.detach(), value.to(torch.bfloat16), rtol=0, atol=0)


def test_gradients_of_bf16_are_those_that_torch_takes_for_fp32_weights(model: Model) -> None:
    model.to(torch.bfloat16)
    masters = [each.detach().float().requires_grad_() for each in model.parameters()]
    own = Optimizer(groups(model, 0.0), BETAS, EPSILON)
    theirs = torch.optim.AdamW(masters, lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=0.0)
    for _ in range(20):
        for each, master in zip(model.parameters(), masters, strict=True):
            each.grad = torch.randn_like(each)
            master.grad = each.grad.float()
        nn.utils.clip_grad_norm_(masters, 0.5)
        theirs.step()
        own.step(RATE, divisor(own, 0.5))
    found = {id(each): value for each, value in own.values()}
    for each, master in zip(model.parameters(), masters, strict=True):
        torch.testing.assert_close(found[id(each)], master.detach(), rtol=1e-5, atol=1e-6)


def test_a_model_without_trained_parameters_has_no_norm() -> None:
    assert Optimizer([], BETAS, EPSILON).squared_norm() == 0
