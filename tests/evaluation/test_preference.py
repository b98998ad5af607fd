"""Which of the finished models is selected where a recipe prefers cheap ones."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.contracts.preference import Alternative
from ftkit.contracts.settings import Prefer
from ftkit.evaluation.preference import compared, preferred


def model(
    number: int, latency: float | None, *, worse: bool = False, size: int = 10, parameters: int = 10
) -> Alternative:
    return Alternative(
        number, f"b{number}", 0.9 - 0.01 * number, worse=worse, latency_ms=latency, size=size, parameters=parameters
    )


@pytest.mark.parametrize(
    ("cheapest", "models", "chosen", "reason"),
    [
        (
            "latency",
            [model(0, 9), model(1, 5), model(2, 1)],
            2,
            "trial 2 (b2) is selected for its latency: 1 ms a text against",
        ),
        (
            "latency",
            [model(0, 9), model(1, 5), model(2, 1, worse=True)],
            1,
            "5 ms a text against 9 ms a text of trial 0 (b0)",
        ),
        ("latency", [model(0, 9), model(1, 1.05), model(2, 1.0)], 1, "trial 1 (b1) is selected"),  # as good as equal
        ("latency", [model(0, 1.05), model(1, 5), model(2, 1.0)], 0, "costs less by latency"),
        ("latency", [model(0, 9), model(1, 1, worse=True)], 0, "every other model is worse by more than 0.005"),
        ("latency", [model(0, 9)], 0, "there is no other model"),
        ("latency", [model(0, None), model(1, 1)], 0, "costs less by latency"),
        ("latency", [model(0, 9), model(1, None), model(2, 5)], 2, "trial 2 (b2)"),
        ("size", [model(0, 1, size=9_000_000), model(1, 5, size=3_000_000)], 1, "3 MB against 9 MB"),
        ("parameters", [model(0, 1, parameters=9_000_000), model(1, 5, parameters=10**6)], 1, "1 million parameters"),
    ],
)
def test_the_cheapest_that_is_not_worse_is_selected(cheapest, models, chosen, reason):
    selection = preferred(Prefer(cheapest=cheapest), "macro_f1", 200, models)
    assert selection.chosen == chosen
    assert reason in selection.sentence


def answers(wrong: int, rows: int) -> np.ndarray:
    """Probabilities of a model that is wrong on the first rows, whose labels are all 0, and of which half are in each class."""
    right = np.tile([0.9, 0.1], (rows, 1))
    right[:wrong] = [0.1, 0.9]
    return right


@pytest.mark.parametrize(
    ("rows", "wrong", "within", "worse"),
    [
        (200, 4, 0.005, False),  # so few rows do not show two hundredths
        (5000, 100, 0.005, True),
        (5000, 100, 0.03, False),
        (5000, 0, 0.0, False),
    ],
)
def test_what_rows_show_depends_on_how_many_they_are(rows, wrong, within, worse):
    one = compared(
        model(1, 1.0), answers(wrong, rows), answers(0, rows), np.zeros(rows, int), "accuracy", within, seed=7
    )
    assert one.worse is worse
    assert one.difference == pytest.approx(-wrong / rows)
    assert one.low <= one.difference <= one.high
