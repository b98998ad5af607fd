"""AdamW for the embedding table against torch's on the whole table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ftkit.encoders.training.cpu import embedding_adamw
from ftkit.encoders.training.schedules import rate_share

ROWS, WIDTH = 60, 8


class Reader(nn.Module):
    """A model that is a table of input embeddings."""

    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.words = nn.Embedding(ROWS, WIDTH, padding_idx=padding)

    def get_input_embeddings(self) -> nn.Module:
        return self.words


def pair(seed: int, padding: int | None = None) -> tuple[Reader, Reader]:
    torch.manual_seed(seed)
    one, other = Reader(padding), Reader(padding)
    other.load_state_dict(one.state_dict())
    return one, other


def trained(
    dense: Reader,
    lazy: Reader,
    *,
    steps: int,
    decay: float,
    betas: tuple[float, float],
    epsilon: float,
    scale: float,
    tolerance: float = 2e-5,
) -> embedding_adamw.EmbeddingAdamW:
    """Train both by the same steps of a schedule with warm-up, on few tokens at a time, some of them rare."""
    random = np.random.default_rng(steps)
    optimizer = torch.optim.AdamW(dense.parameters(), lr=1.0, betas=betas, eps=epsilon, weight_decay=decay)
    table = embedding_adamw.for_model(lazy, decay, betas, epsilon)
    assert table is not None
    frequencies = 1 / np.arange(1, ROWS + 1)
    for step in range(steps):
        ids = torch.from_numpy(random.choice(ROWS, 12, p=frequencies / frequencies.sum()).reshape(3, 4))
        factors = torch.from_numpy(random.normal(size=(3, 4, WIDTH)) * scale).float()
        rate = 1e-2 * rate_share(step, steps, 0.1)
        table.apply_deferred(ids)
        torch.testing.assert_close(lazy.words(ids), dense.words(ids), rtol=10 * tolerance, atol=tolerance)
        for model in (dense, lazy):
            (model.words(ids) * factors).sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        gradient = table.collect()
        assert len(gradient) <= len(torch.unique(ids))
        table.update(rate)
    return table


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9), (0.0, 0.99), (0.99, 0.999)])
def test_updating_only_the_rows_of_a_step_is_equal_to_updating_all(decay, betas):
    dense, lazy = pair(1)
    before = dense.words.weight.detach().clone()
    table = trained(dense, lazy, steps=400, decay=decay, betas=betas, epsilon=1e-8, scale=1.0)
    table.apply_deferred()
    moved = (dense.words.weight - before).norm()
    assert moved > 1
    assert (lazy.words.weight - dense.words.weight).norm() < 1e-4 * moved
    torch.testing.assert_close(table.values, lazy.words.weight.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("scale", [1e-8, 1e-6], ids=["below epsilon", "about epsilon"])
def test_deferred_updates_are_right_for_gradients_as_small_as_epsilon(scale):
    dense, lazy = pair(2)
    before = dense.words.weight.detach().clone()
    table = trained(dense, lazy, steps=300, decay=0.0, betas=(0.9, 0.999), epsilon=1e-8, scale=scale, tolerance=2e-4)
    table.apply_deferred()
    moved = (dense.words.weight - before).norm()
    assert moved > 0
    assert (lazy.words.weight - dense.words.weight).norm() < 5e-3 * moved


def test_without_the_deferred_updates_the_table_is_far_off():
    """Shows that the two tests above would fail without them."""
    dense, lazy = pair(3)
    before = dense.words.weight.detach().clone()
    table = trained(dense, lazy, steps=400, decay=0.0, betas=(0.9, 0.999), epsilon=1e-8, scale=1.0)
    stale = (table.values - dense.words.weight).norm()
    assert stale > 1e-2 * (dense.words.weight - before).norm()


def test_padding_has_no_gradient_and_decays_like_other_rows(monkeypatch):
    monkeypatch.setattr(embedding_adamw, "CHUNK", 7)  # so that the updates of this small table take several chunks
    dense, lazy = pair(4, padding=0)
    table = trained(dense, lazy, steps=100, decay=0.1, betas=(0.9, 0.999), epsilon=1e-8, scale=1.0)
    table.apply_deferred()
    torch.testing.assert_close(lazy.words.weight[0], dense.words.weight[0])
    torch.testing.assert_close(lazy.words.weight, dense.words.weight, rtol=2e-4, atol=2e-5)


def test_a_table_that_is_not_only_looked_up_is_always_up_to_date():
    dense, lazy = pair(5)
    optimizer = torch.optim.AdamW(dense.parameters(), lr=1e-2, weight_decay=0.0)
    table = embedding_adamw.for_model(lazy, 0.0, (0.9, 0.999), 1e-8)
    assert table is not None
    factors = torch.randn(ROWS, WIDTH)
    for step in range(20):
        table.apply_deferred(torch.tensor([1, 2]))
        for model in (dense, lazy):
            # Each step reads one row directly, not by a lookup.
            (model.words.weight[step] * factors[step]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        table.collect()
        table.update(1e-2)
    table.apply_deferred()
    torch.testing.assert_close(lazy.words.weight, dense.words.weight)


def test_shared_frozen_and_special_tables_are_left_to_the_optimizer():
    tied = Reader()
    tied.out = nn.Linear(WIDTH, ROWS, bias=False)
    tied.out.weight = tied.words.weight
    frozen = Reader().requires_grad_(False)
    scaled = Reader()
    scaled.words = nn.Embedding(ROWS, WIDTH, max_norm=1.0)
    for model in (tied, frozen, scaled):
        assert embedding_adamw.for_model(model, 0.0, (0.9, 0.999), 1e-8) is None
