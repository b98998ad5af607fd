"""Numbers, times and texts as people read them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ftkit import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3840, "1 h 04 min"),
        (math.nan, "?"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.5e-5, "5.5e-05"),
        (True, "true"),
        (8, "8"),
        ("bert-base-cased", "bert-base-cased"),
        ((1, 2), "1, 2"),
        ("a\nb", "a b"),
    ],
)
def test_a_value_is_short_and_on_one_line(value: Any, text: str) -> None:
    assert formatting.value(value) == text


def test_a_long_path_is_shown_by_its_end() -> None:
    shown = formatting.value("/a/very/long/folder/of/somebody/bert-large", 16)
    assert shown.endswith("bert-large")
    assert len(shown) == 16


@pytest.mark.parametrize(
    ("value", "sentence", "cell"),
    [
        (0.25, "0.2500", "0.2500"),
        (0.0000123, "1.2e-05", "1.2e-05"),
        (0.0, "0.0000", "0.0000"),
        (math.nan, "no value", "–"),
    ],
)
def test_a_score_has_four_decimals_unless_they_would_all_be_zero(value: float, sentence: str, cell: str) -> None:
    assert formatting.rounded(value) == sentence
    assert formatting.score(value) == cell


def test_a_score_that_is_missing_is_a_dash() -> None:
    assert formatting.score(None) == "–"


@pytest.mark.parametrize(("share", "text"), [(0, "0.0 %"), (1, "100.0 %"), (0.0123, "1.2 %"), (0.00012, "0.012 %")])
def test_a_small_share_is_not_rounded_to_zero(share: float, text: str) -> None:
    assert formatting.percent(share) == text


def test_a_difference_has_its_sign_unless_it_rounds_to_zero() -> None:
    assert [formatting.signed(each) for each in (0.1, -0.1, 0.00001, math.nan)] == ["+0.1000", "−0.1000", "0.0000", "–"]


def test_a_count_has_its_noun_in_singular_or_plural() -> None:
    assert [formatting.count(each, "row") for each in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


def test_bytes_have_the_size_that_suits_them() -> None:
    assert [formatting.amount(each, "B") for each in (900, 4_700_000)] == ["900 bytes", "4.7 MB"]
    assert formatting.amount(20_473, "rows") == "20,473 rows"


def test_a_long_list_ends_with_the_number_of_names_left_out() -> None:
    assert formatting.listing(["a", "b", "c"], 2) == "a, b and 1 more"
    assert formatting.listing(map(str, range(2)), 2) == "0, 1"
    assert formatting.listing(["a\x1b[31m"]) == "a\\x1b[31m"


def test_a_long_text_is_cut_between_words() -> None:
    assert formatting.beginning("one two three four", 12) == "one two…"
    assert formatting.beginning("a-very-long-word", 8) == "a-very-…"


def test_a_quoted_text_is_short_and_printable() -> None:
    assert formatting.quoted("a\n b\x00\ud800") == "“a b\\x00\\ud800”"
    assert formatting.quoted("long " * 10**6).endswith(" long…”")
    assert len(formatting.quoted("x" * 10**6)) == 62
    assert formatting.printable("👩\u200d👩") == "👩\u200d👩", "emoji keep what joins them"
