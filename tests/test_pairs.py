"""Two texts in one: joined and parted without loss, shown to readers, and named in requests."""

from __future__ import annotations

import pytest

from ftkit import formatting, pairs

FIELDS = ("premise", "hypothesis")


@pytest.mark.parametrize("sides", [("a b", "c"), ("", ""), ("", "x"), ("x", ""), (" a\n", "\ud83d"), ("a|b", " | ")])
def test_a_pair_is_joined_and_parted_without_loss(sides: tuple[str, str]) -> None:
    text = pairs.join(*sides)
    assert pairs.is_pair(text) and pairs.sides(text) == sides
    assert pairs.as_row(text, FIELDS) == dict(zip(FIELDS, sides, strict=True))
    assert pairs.of_row(pairs.as_row(text, FIELDS), FIELDS) == text


def test_a_separator_inside_a_side_parts_nothing() -> None:
    assert pairs.sides(pairs.join("a\ufdd0b", "c")) == ("a\ufffdb", "c")


def test_a_text_that_is_no_pair_has_an_empty_second_side() -> None:
    assert pairs.sides("alone") == ("alone", "")
    assert pairs.as_row("alone") == {"text": "alone"} and pairs.of_row({"text": "alone"}) == "alone"
    assert pairs.changed("alone", str.upper) == "ALONE"


def test_each_side_of_a_pair_is_changed() -> None:
    assert pairs.sides(pairs.changed(pairs.join("a", "b"), str.upper)) == ("A", "B")


def test_a_reader_sees_both_sides() -> None:
    assert formatting.quoted(pairs.join("a dog", "an animal")) == "“a dog | an animal”"
