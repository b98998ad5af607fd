"""Which rows are computed in one call: every row once, little padding, and no more than the budget."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.encoders.inference.token_budget import MAX_PADDING, SLACK, batches, next_batch

LENGTHS = np.random.default_rng(0).lognormal(4.3, 0.8, 500).astype(int).clip(5, 512).tolist()


@pytest.mark.parametrize("max_rows", [None, 1, 7])
@pytest.mark.parametrize("budget", [1, 64, 256, 10**6])
def test_every_row_is_in_one_batch_and_no_batch_exceeds_its_limits(budget: int, max_rows: int | None) -> None:
    divided = batches(LENGTHS, budget, max_rows)
    assert sorted(index for batch in divided for index in batch) == list(range(len(LENGTHS)))
    for batch in divided:
        assert len(batch) == 1 or len(batch) * max(LENGTHS[index] for index in batch) <= budget
    assert max(map(len, divided)) <= (max_rows or len(LENGTHS))
    assert [len(batch) for batch in batches([5] * 20, 10**6, max_rows)] == (
        [20] if max_rows is None else [max_rows] * (20 // max_rows) + [20 % max_rows] * bool(20 % max_rows)
    )
    assert batches([], budget, max_rows) == []


def test_the_row_that_waits_longest_is_computed_with_those_of_similar_length() -> None:
    assert next_batch([100, 20, 101, 500, 99], 400) == [0, 2, 4]
    assert next_batch([300, 301, 5], 256) == [0], "a row beyond the budget is computed alone"
    assert next_batch([20, 100, 22], 256) == [0, 2], "more padding would cost more than it gains"
    assert next_batch([20, 100, 22], 10**4, max_padding=1.0) == [0, 2, 1], "unless padding costs nothing"


@pytest.mark.parametrize("budget", [64, 256, 2048])
def test_all_waiting_rows_are_computed_in_the_end_with_little_padding(budget: int) -> None:
    waiting = list(range(len(LENGTHS)))
    while waiting:
        batch = next_batch([LENGTHS[index] for index in waiting[:32]], budget)
        assert 0 in batch
        assert len(set(batch)) == len(batch)
        lengths = [LENGTHS[waiting[place]] for place in batch]
        total = len(lengths) * max(lengths)
        assert len(lengths) == 1 or total <= budget
        assert total - sum(lengths) <= max(SLACK, MAX_PADDING * total)
        waiting = [index for place, index in enumerate(waiting) if place not in batch]
