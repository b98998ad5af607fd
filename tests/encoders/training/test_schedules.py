"""The learning rate of each step, and the steps after which a training is evaluated."""

from __future__ import annotations

import pytest

from ftkit.encoders.training.schedules import evaluation_steps, rate_share


def test_the_learning_rate_rises_over_the_warmup_and_falls_to_zero():
    rates = [rate_share(step, 10, 0.2) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates == rates[:2] + sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 8)
    assert rate_share(0, 10, 0.0) == 1.0


def test_a_cosine_begins_and_ends_more_slowly_than_a_line_and_meets_it_half_way():
    line, cosine = ([rate_share(step, 10, 0.2, shape) for step in range(10)] for shape in ("linear", "cosine"))
    assert cosine[:3] == line[:3]
    assert cosine[3] > line[3]
    assert cosine[6] == pytest.approx(line[6]) == pytest.approx(0.5)
    assert 0 < cosine[9] < line[9]


def test_a_constant_rate_stays_after_the_warmup():
    assert [rate_share(step, 10, 0.2, "constant") for step in range(10)] == [0.5, *[1.0] * 9]


@pytest.mark.parametrize(
    ("every", "batches", "epochs", "steps"),
    [
        (1.0, 7, 3, [7, 14, 21]),
        (0.25, 8, 1, [2, 4, 6, 8]),
        (0.3, 10, 1, [3, 6, 9, 10]),
        (0.1, 3, 1, [1, 2, 3]),  # no more often than after every step
        (5, 7, 2, [5, 10, 14]),
        (500, 7, 2, [14]),
    ],
)
def test_evaluations_are_at_shares_of_an_epoch_or_after_so_many_steps_and_at_the_end(every, batches, epochs, steps):
    assert sorted(evaluation_steps(every, batches, epochs)) == steps
