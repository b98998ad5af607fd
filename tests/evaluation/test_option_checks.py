"""Checks of options: what is refused, and the words in which it is refused."""

from __future__ import annotations

import math

import pytest

from ftkit.evaluation.option_checks import above_zero, at_least, between_zero_and_one, in_range


@pytest.mark.parametrize(
    ("check", "values", "message"),
    [
        (in_range, (1.5, 0, 1), "share must be from 0 to 1"),
        (in_range, (-1.0, 0), "share must be a number of at least 0"),
        (in_range, (math.inf, 0), "share must be a number of at least 0"),
        (in_range, (math.nan, 0, 1), "share must be from 0 to 1"),
        (at_least, (0, 1), "share must be at least 1"),
        (above_zero, (0.0,), "share must be a number above 0"),
        (above_zero, (math.inf,), "share must be a number above 0"),
        (between_zero_and_one, (1.0,), "share must lie between 0 and 1, such as 0.95"),
    ],
)
def test_an_option_out_of_range_is_refused(check, values, message):
    with pytest.raises(ValueError, match="share must") as error:
        check("share", *values)
    assert str(error.value) == message


def test_the_ends_of_a_range_are_allowed():
    in_range("share", 0.0, 0, 1)
    in_range("share", 1.0, 0, 1)
    at_least("rows", 1, 1)
