"""Shingles: the numbers of two texts are shared exactly where their runs of words are."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data import shingles as module
from ftkit.data.shingles import normal, shingles

words = st.sampled_from(
    ["a", "B", "b", "lamp", "don't", "straße", "STRASSE", "x-y", "😀", "—", "日本", "\ud800", "_", " "]
)
texts = st.one_of(st.lists(words, max_size=8).map(" ".join), st.text(max_size=12))


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    """Runs of words as sets of tuples."""
    parts = normal(text).split(" ")
    return {tuple(parts[at : at + length]) for at in range(max(1, len(parts) - length + 1))}


def sets(some: list[str], length: int) -> list[set[int]]:
    values, sizes = shingles(some, length)
    return [set(part.tolist()) for part in np.split(values, np.cumsum(sizes)[:-1])]


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), st.integers(1, 4))
def test_texts_share_as_many_numbers_as_runs_of_words(some: list[str], length: int) -> None:
    by_number, by_words = sets(some, length), [runs(text, length) for text in some]
    for numbers, word_runs in zip(by_number, by_words, strict=True):
        assert len(numbers) == len(word_runs)
        for other_numbers, other_runs in zip(by_number, by_words, strict=True):
            assert len(numbers & other_numbers) == len(word_runs & other_runs)


def test_the_characters_of_words_are_those_of_the_regular_expression() -> None:
    table, _ = module._characters()
    assert [code for code in range(0x110000) if bool(re.match(r"\w", chr(code))) != bool(table[code])] == []


def test_the_size_of_blocks_does_not_change_the_shingles(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [f"the lamp number {number} is the lamp I bought" for number in range(50)]
    values, sizes = shingles(some, 3)
    monkeypatch.setattr(module, "BLOCK", 100)
    small_values, small_sizes = shingles(some, 3)
    assert values.tolist() == small_values.tolist()
    assert sizes.tolist() == small_sizes.tolist()


def test_no_texts_have_no_shingles() -> None:
    assert [len(array) for array in shingles([], 3)] == [0, 0]


def test_a_copy_differs_in_case_punctuation_and_white_space_only() -> None:
    assert normal("“Good”,\n GOOD — lamp!") == "good good lamp"
    assert normal("😀 \n😀") == "😀 😀"
    assert normal(" \t") == ""
