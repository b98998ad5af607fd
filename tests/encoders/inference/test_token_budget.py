"""What is computed in one call: every row once, little padding, and no more than fits."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.encoders.inference.token_budget import SLACK, WASTE, portions, together

LENGTHS = np.random.default_rng(0).lognormal(4.3, 0.8, 500).astype(int).clip(5, 512).tolist()


@pytest.mark.parametrize("most", [None, 1, 7])
@pytest.mark.parametrize("budget", [1, 64, 256, 10**6])
def test_every_row_is_in_one_portion_and_none_is_larger_than_it_may_be(budget: int, most: int | None) -> None:
    found = portions(LENGTHS, budget, most)
    assert sorted(index for portion in found for index in portion) == list(range(len(LENGTHS)))
    for portion in found:
        assert len(portion) == 1 or len(portion) * max(LENGTHS[index] for index in portion) <= budget
    assert max(map(len, found)) <= (most or len(LENGTHS))
    assert [len(portion) for portion in portions([5] * 20, 10**6, most)] == (
        [20] if most is None else [most] * (20 // most) + [20 % most] * bool(20 % most)
    )
    assert portions([], budget, most) == []


def test_who_waits_longest_is_computed_with_those_most_like_it() -> None:
    assert together([100, 20, 101, 500, 99], 400) == [0, 2, 4]
    assert together([300, 301, 5], 256) == [0], "a row beyond the budget is computed alone"
    assert together([20, 100, 22], 256) == [0, 2], "padding would cost more than is gained"
    assert together([20, 100, 22], 10**4, waste=1.0) == [0, 2, 1], "unless nothing is lost by it"


@pytest.mark.parametrize("budget", [64, 256, 2048])
def test_however_many_wait_all_come_to_their_turn_with_little_padding(budget: int) -> None:
    waiting = list(range(len(LENGTHS)))
    while waiting:
        chosen = together([LENGTHS[index] for index in waiting[:32]], budget)
        assert 0 in chosen
        assert len(set(chosen)) == len(chosen)
        lengths = [LENGTHS[waiting[place]] for place in chosen]
        whole = len(lengths) * max(lengths)
        assert len(lengths) == 1 or whole <= budget
        assert whole - sum(lengths) <= max(SLACK, WASTE * whole)
        waiting = [index for place, index in enumerate(waiting) if place not in chosen]
