"""Near copies stay in one split, every class keeps its share, and rows without near copies go where they always went."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ftkit.contracts import SPLITS, Data
from ftkit.data import split_assignment
from ftkit.data.near_duplicates import twins
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split

AB = ("a", "b")


def prose(rows: int, seed: int, words: int = 20) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(f"w{drawn.randrange(5000)}" for _ in range(words)) for _ in range(rows)]


def rows(texts: list[str], labels: Any = AB) -> Rows:
    made = Rows("rows.csv")
    for place, text in enumerate(texts):
        made.add(text, labels[place % len(labels)] if isinstance(labels, tuple) else labels(place))
    return made


def copied(seed: int = 2) -> list[str]:
    """Two hundred texts, and for each of the first fifty one or two near copies."""
    texts = prose(200, 1)
    drawn = random.Random(seed)
    near = [" ".join([*text.split()[:-1], f"n{number}"]) for number in range(2) for text in texts[:50]]
    return [*texts, *drawn.sample(near, 75)]


def leaks(data: Data) -> int:
    pairs = (("test", "train"), ("test", "valid"), ("valid", "train"))
    return sum(len(twins(getattr(data, one).texts, getattr(data, other).texts)) for one, other in pairs)


def test_near_copies_are_in_one_split_and_the_report_tells_how_many() -> None:
    made = rows(copied())
    apart, together = (split(made, AB, Rules(seed=7, near_copies=each)) for each in ("ignored", "together"))
    assert leaks(apart) > 10
    assert leaks(together) == 0
    assert together.report.counts == apart.report.counts
    assert apart.report.notes == ()
    (note,) = together.report.notes
    assert note.startswith(f"{len(set(together_rows(made)))} rows in ")
    assert note.endswith(" groups of near copies were kept together, each group in one split.")


def together_rows(made: Rows) -> list[int]:
    from ftkit.data.near_duplicates import clusters

    return [row for cluster in clusters(made.texts) for row in cluster]


def test_without_near_copies_every_row_goes_where_it_would_go_anyway() -> None:
    made = rows(prose(300, 3))
    for seed in range(5):
        rules = [Rules(seed=seed, near_copies=each) for each in ("ignored", "together")]
        assert split(made, AB, rules[0]) == split(made, AB, rules[1])


def test_rows_without_near_copies_mostly_stay_where_they_were() -> None:
    made = rows(copied())
    apart, together = (split(made, AB, Rules(seed=7, near_copies=each)) for each in ("ignored", "together"))
    alone = set(made.texts[50:200])
    before, after = alone & set(apart.test.texts), alone & set(together.test.texts)
    assert len(before & after) >= 0.8 * len(before)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_the_rows_does_not_change_the_splits(order: int) -> None:
    texts = copied()
    label = {text: AB[place % 2] for place, text in enumerate(texts)}
    shuffled = random.Random(order).sample(texts, len(texts))
    first, again = (
        split(rows(some, lambda place, some=some: label[some[place]]), AB, Rules(seed=7)) for some in (texts, shuffled)
    )
    for name in SPLITS:
        assert set(getattr(first, name).texts) == set(getattr(again, name).texts)


def test_near_copies_with_different_labels_stay_together_too() -> None:
    texts = prose(60, 1)
    made = rows(
        [*texts, *(f"{text} indeed" for text in texts[:30])],
        lambda place: AB[place % 2 if place < 60 else (place + 1) % 2],
    )
    data = split(made, AB, Rules(seed=1))
    assert leaks(data) == 0
    assert sum(len(getattr(data, name)) for name in SPLITS) == 90


def test_a_group_larger_than_a_split_goes_to_training() -> None:
    base = prose(1, 4)[0]
    crowd = [f"{base} {number}" for number in range(40)]
    data = split(rows([*prose(160, 1), *crowd]), AB, Rules(seed=3))
    assert set(crowd) <= set(data.train.texts)
    assert {name: sum(each.values()) for name, each in data.report.counts.items()} == {
        "train": 160,
        "valid": 20,
        "test": 20,
    }


def test_a_class_of_near_copies_only_is_parted_and_the_report_says_so() -> None:
    base = prose(1, 4)[0]
    spam = [f"{base} {number}" for number in range(40)]
    data = split(rows([*prose(100, 1), *spam], lambda place: AB[place >= 100]), AB, Rules(seed=3))
    assert data.report.counts["test"] == {"a": 10, "b": 4}
    assert data.report.counts["valid"] == {"a": 10, "b": 4}
    assert data.report.counts["train"] == {"a": 80, "b": 32}
    (note,) = data.report.notes
    assert note.startswith("40 rows in 1 group of near copies were parted over several splits: without them")
    assert note.endswith("too few rows of b in one of them.")


def test_given_splits_are_left_as_they_are() -> None:
    texts = prose(60, 1)
    near = [f"{text} indeed" for text in texts[:20]]
    given = {"train": rows(texts), "valid": rows(prose(10, 9)), "test": rows(near)}
    data = join(given, AB, Rules(seed=1))
    assert (set(data.train.texts), set(data.test.texts)) == (set(texts), set(near))
    assert data.report.notes == ()


def test_validation_rows_split_off_training_rows_take_their_near_copies_along() -> None:
    data = join({"train": rows(copied()), "test": rows(prose(10, 9))}, AB, Rules(seed=1))
    assert twins(data.valid.texts, data.train.texts) == []
    assert any("kept together" in note for note in data.report.notes)


def test_texts_beyond_the_limit_are_split_as_they_are_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_assignment, "LIMIT", 1000)
    made = rows(copied())
    data = split(made, AB, Rules(seed=7))
    assert data.train.texts == split(made, AB, Rules(seed=7, near_copies="ignored")).train.texts
    assert "near copies were not looked for" in data.report.notes[0]


def test_only_rows_of_the_sample_are_looked_at() -> None:
    data = split(rows(copied()), AB, Rules(seed=7, rows=60))
    assert leaks(data) == 0
    assert abs(sum(len(getattr(data, name)) for name in SPLITS) - 60) <= 1
    (note,) = data.report.notes
    assert int(note.split()[0]) < 60
