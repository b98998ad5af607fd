"""Near copies stay in one split, every class keeps its share, and data without near copies is split as before."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ftkit.contracts import SPLITS, Data
from ftkit.data import shared_shingles
from ftkit.data.near_duplicates import twins
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split

AB = ("a", "b")


def prose(rows: int, seed: int, words: int = 20) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(f"w{drawn.randrange(5000)}" for _ in range(words)) for _ in range(rows)]


def rows(texts: list[str], labels: Any = AB) -> Rows:
    table = Rows("rows.csv")
    for index, text in enumerate(texts):
        table.add(text, labels[index % len(labels)] if isinstance(labels, tuple) else labels(index))
    return table


def copied(seed: int = 2) -> list[str]:
    """Two hundred texts, and for each of the first fifty one or two near copies."""
    texts = prose(200, 1)
    drawn = random.Random(seed)
    near = [" ".join([*text.split()[:-1], f"n{number}"]) for number in range(2) for text in texts[:50]]
    return [*texts, *drawn.sample(near, 75)]


def leaks(data: Data) -> int:
    pairs = (("test", "train"), ("test", "valid"), ("valid", "train"))
    return sum(len(twins(getattr(data, one).texts, getattr(data, other).texts)) for one, other in pairs)


def test_near_copies_are_in_one_split_and_the_report_counts_them() -> None:
    table = rows(copied())
    apart, together = (split(table, AB, Rules(seed=7, near_copies=option)) for option in ("ignored", "together"))
    assert leaks(apart) > 10
    assert leaks(together) == 0
    assert together.report.counts == apart.report.counts
    assert apart.report.notes == ()
    (note,) = together.report.notes
    assert note.startswith(f"{len(set(together_rows(table)))} rows in ")
    assert note.endswith(" groups of near copies were kept together, each group in one split.")


def together_rows(table: Rows) -> list[int]:
    from ftkit.data.near_duplicates import clusters

    return [row for cluster in clusters(table.texts) for row in cluster]


def test_data_without_near_copies_is_split_in_the_same_way_with_either_option() -> None:
    table = rows(prose(300, 3))
    for seed in range(5):
        rules = [Rules(seed=seed, near_copies=option) for option in ("ignored", "together")]
        assert split(table, AB, rules[0]) == split(table, AB, rules[1])


def test_most_rows_without_near_copies_stay_in_their_split() -> None:
    table = rows(copied())
    apart, together = (split(table, AB, Rules(seed=7, near_copies=option)) for option in ("ignored", "together"))
    alone = set(table.texts[50:200])
    before, after = alone & set(apart.test.texts), alone & set(together.test.texts)
    assert len(before & after) >= 0.8 * len(before)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_the_rows_does_not_change_the_splits(order: int) -> None:
    texts = copied()
    label = {text: AB[index % 2] for index, text in enumerate(texts)}
    shuffled = random.Random(order).sample(texts, len(texts))
    first, again = (
        split(rows(some, lambda index, some=some: label[some[index]]), AB, Rules(seed=7)) for some in (texts, shuffled)
    )
    for name in SPLITS:
        assert set(getattr(first, name).texts) == set(getattr(again, name).texts)


def test_near_copies_with_different_labels_stay_together_too() -> None:
    texts = prose(60, 1)
    table = rows(
        [*texts, *(f"{text} indeed" for text in texts[:30])],
        lambda index: AB[index % 2 if index < 60 else (index + 1) % 2],
    )
    data = split(table, AB, Rules(seed=1))
    assert leaks(data) == 0
    assert sum(len(getattr(data, name)) for name in SPLITS) == 90


def test_a_group_larger_than_a_split_goes_to_training() -> None:
    base = prose(1, 4)[0]
    crowd = [f"{base} {number}" for number in range(40)]
    data = split(rows([*prose(160, 1), *crowd]), AB, Rules(seed=3))
    assert set(crowd) <= set(data.train.texts)
    assert {name: sum(by_class.values()) for name, by_class in data.report.counts.items()} == {
        "train": 160,
        "valid": 20,
        "test": 20,
    }


def test_a_class_that_is_one_group_of_near_copies_is_divided_and_the_report_says_so() -> None:
    base = prose(1, 4)[0]
    spam = [f"{base} {number}" for number in range(40)]
    data = split(rows([*prose(100, 1), *spam], lambda index: AB[index >= 100]), AB, Rules(seed=3))
    assert data.report.counts["test"] == {"a": 10, "b": 4}
    assert data.report.counts["valid"] == {"a": 10, "b": 4}
    assert data.report.counts["train"] == {"a": 80, "b": 32}
    (note,) = data.report.notes
    assert note == (
        "40 rows in 1 group of near copies were divided among several splits: otherwise one of the splits would have "
        "too few rows of b."
    )


def test_ready_splits_are_left_as_they_are() -> None:
    texts = prose(60, 1)
    near = [f"{text} indeed" for text in texts[:20]]
    parts = {"train": rows(texts), "valid": rows(prose(10, 9)), "test": rows(near)}
    data = join(parts, AB, Rules(seed=1))
    assert (set(data.train.texts), set(data.test.texts)) == (set(texts), set(near))
    assert data.report.notes == ()


def test_near_copies_stay_together_when_validation_rows_are_split_off_the_training_rows() -> None:
    data = join({"train": rows(copied()), "test": rows(prose(10, 9))}, AB, Rules(seed=1))
    assert twins(data.valid.texts, data.train.texts) == []
    assert any("kept together" in note for note in data.report.notes)


def test_above_the_limit_near_copies_are_not_searched_for_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_shingles, "ROWS", 2**4)
    table = rows(copied())
    data = split(table, AB, Rules(seed=7))
    assert data.train.texts == split(table, AB, Rules(seed=7, near_copies="ignored")).train.texts
    assert "Near copies were not searched for" in data.report.notes[0]


def test_near_copies_are_searched_for_in_the_sample_only() -> None:
    data = split(rows(copied()), AB, Rules(seed=7, rows=60))
    assert leaks(data) == 0
    assert abs(sum(len(getattr(data, name)) for name in SPLITS) - 60) <= 1
    (note,) = data.report.notes
    assert int(note.split()[0]) < 60
