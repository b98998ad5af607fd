"""Digests as numbers answer what sets and sorting of bytes answer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.digests import Digests, among, digest_of, groups, sorted_by

digests = st.lists(
    st.sampled_from([*map(digest_of, "abcdefgh"), b"\0" * 16, b"\0" * 15 + b"\1", b"\xff" * 16]), max_size=30
)


@given(digests, digests)
def test_they_are_found_among_others(some: list[bytes], others: list[bytes]) -> None:
    assert among(Digests(some).numbers, Digests(others).numbers).tolist() == [each in others for each in some]


@given(digests)
def test_they_are_sorted_as_bytes_are(some: list[bytes]) -> None:
    assert sorted_by(some) == sorted(range(len(some)), key=some.__getitem__)
    assert [*Digests(some)] == some


@given(digests)
def test_equal_ones_are_one_group_in_their_order(some: list[bytes]) -> None:
    ranked, begins = groups(Digests(some).numbers)
    parts = [part.tolist() for part in np.split(ranked, begins[1:]) if len(part)]
    assert sorted(parts) == sorted([row for row, each in enumerate(some) if each == one] for one in {*some})
