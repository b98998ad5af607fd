"""Splits of rows with several labels: rare labels have their share in each, what belongs together stays, and nothing is slow."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ftkit.contracts import SPLITS, Data
from ftkit.data import soundness
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import Rows
from ftkit.data.splits import RARE, SAMPLED, UNLISTED, WITHOUT, Rules, join, split
from ftkit.data.stratification import stratified
from ftkit.errors import DataError

WORDS = [f"word{number}" for number in range(2_000)]


def drawn_labels(draw: random.Random, labels: int = 20) -> list[str]:
    """Labels with rates from 1/2 down to about 1/100, which occur together by chance; at times none."""
    return [f"label {number:02}" for number in range(labels) if draw.random() < 0.5 / (1 + number) ** 1.3]


def table(count: int, seed: int = 0, label: Callable[[random.Random], Any] = drawn_labels, **columns: Any) -> Rows:
    draw, rows = random.Random(seed), Rows("rows.csv", label_column="label")
    rows.others = OtherColumns.choose([{"user": "u1"}], (), group="user")
    for row in range(count):
        rows.add(" ".join(draw.choices(WORDS, k=12)), label(draw), row=row)
        rows.others.add([f"u{draw.randrange(count // 8 + 2)}"])
    return rows


def rules(**options: Any) -> Rules:
    return Rules(seed=3, task="multi-label", **options)


def shares_of_labels(data: Data) -> dict[str, list[float]]:
    total = {name: sum(counts[name] for counts in data.report.counts.values()) for name in data.classes}
    return {name: [data.report.counts[each][name] / total[name] for each in SPLITS] for name in data.classes}


def test_every_label_has_its_share_in_every_split_the_rare_ones_too() -> None:
    data = split(table(4_000), (), rules(near_copies="ignored"))
    soundness.check(data, "the rows")
    counted = sum((Counter(counts) for counts in data.report.counts.values()), Counter[str]())
    assert min(counted.values()) < 60, "rare labels are what this is about"
    assert sum(len(label) == 0 for label in data.train.labels) > 100
    for name, shares in shares_of_labels(data).items():
        tolerance = 0.02 + 1 / counted[name]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=tolerance), f"{name}: {counted[name]} rows"
    assert [size / 4_000 for size in data.report.sizes.values()] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_the_order_of_the_rows_changes_nothing_and_another_seed_does() -> None:
    rows = table(400)
    backwards = Rows(rows.source, [*rows.texts][::-1], rows.labels[::-1])
    test = {*split(rows, (), rules()).test.texts}
    assert test == {*split(backwards, (), rules()).test.texts}
    assert test != {*split(rows, (), Rules(seed=4, task="multi-label")).test.texts}


@pytest.mark.parametrize("group", ["", "user"])
def test_near_copies_and_groups_stay_in_one_split(group: str) -> None:
    rows = table(600, label=lambda draw: drawn_labels(draw, 8))
    for row in range(0, 100, 2):
        rows.add(f"{rows.texts[row]} indeed", rows.labels[row], row=600 + row)
        rows.others.add([""])
    data = split(rows, (), rules(group=group))
    place = {row: name for name in SPLITS for row in getattr(data, name).columns["row"]}
    assert all(place[row] == place[600 + row] for row in range(0, 100, 2) if 600 + row in place)
    if group:
        users: dict[int, set[str]] = {}
        for row, user in enumerate(rows.others.groups["user"]):
            if user and row in place:
                users.setdefault(user, set()).add(place[row])
        assert all(len(names) == 1 for names in users.values())
        assert any("kept together, each group in one split" in note for note in data.report.notes)
    for name in SPLITS:
        assert len(getattr(data, name)) > 30


def test_one_group_is_an_error() -> None:
    rows = Rows("rows.csv", [f"text {row}" for row in range(30)], [["a"], ["b"], ["a", "b"]] * 10)
    rows.others = OtherColumns.choose([{"user": "u1"}], (), group="user")
    for _ in range(30):
        rows.others.add(["u1"])
    with pytest.raises(DataError, match="the column 'user' has one value in all rows"):
        split(rows, (), rules(group="user"))
    rows.labels = ["a", "b"] * 15
    with pytest.raises(DataError, match="the column 'user' has one value in all rows"):
        split(rows, (), Rules(seed=1, group="user"))


def test_a_sample_and_rare_labels_are_counted_by_row() -> None:
    data = split(table(2_000), (), rules(rows=300, min_rows=30))
    soundness.check(data, "the rows")
    assert sum(data.report.sizes.values()) == pytest.approx(300, rel=0.1)
    assert data.report.dropped[SAMPLED] > 1_500
    assert min(min(counts.values()) for counts in data.report.counts.values()) >= 1
    few = Rows(
        "rows.csv", [f"text {row}" for row in range(33)], [["a"], ["b", "a"], []] * 10 + [["z"], ["z", "a"], ["b"]]
    )
    data = split(few, (), rules(min_rows=3))
    assert (data.classes, data.report.dropped) == (("a", "b"), {RARE: 1})
    assert sum(data.report.sizes.values()) == 32


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"without": ("z",)}, WITHOUT), ({"labels": {"a": "A", "b": "B"}, "unlisted": "drop"}, UNLISTED)],
)
def test_a_label_that_is_left_out_takes_the_rows_along_that_have_no_other(options: dict[str, Any], reason: str) -> None:
    labels = [["a"], ["b", "z"], ["z"], []] * 10
    data = split(Rows("rows.csv", [f"text {row}" for row in range(40)], labels), (), rules(**options))
    assert [name.lower() for name in data.classes] == ["a", "b"]
    assert data.report.dropped == {reason: 10}
    assert Counter(len(label) for name in SPLITS for label in getattr(data, name).labels) == {1: 20, 0: 10}


def test_labels_are_normalised_one_by_one() -> None:
    labels = [["caf\u00e9", "tea\u200b"], ["cafe\u0301"], ["tea", "tea "], [1, "1.0"]] * 10
    data = split(Rows("rows.csv", [f"text {row}" for row in range(40)], labels), (), rules())
    assert data.classes == ("1", "caf\u00e9", "tea")
    assert Counter(label for name in SPLITS for label in getattr(data, name).labels) == {(1, 2): 10, (1,): 10, (2,): 10, (0,): 10}  # fmt: skip


def test_the_same_text_with_other_labels_contradicts_and_with_the_same_in_another_order_does_not() -> None:
    labels = [["a", "b"], ["a"], ["b"]] * 10
    rows = Rows("rows.csv", [f"text {row}" for row in range(30)], labels)
    rows.add("text 0", ["b", "a"])
    rows.add("text 1", ["b", "a"])
    assert split(rows, (), rules()).report.dropped == {"duplicate": 1, "same text, different labels": 2}


def test_the_newest_rows_are_the_test_rows_and_a_label_that_is_newer_than_training_is_refused() -> None:
    rows = Rows("rows.csv", [f"text {row}" for row in range(100)], [["a"], ["b", "a"], []] * 33 + [["b"]])
    rows.others = OtherColumns.choose([{"day": "2024-01-01"}], (), time="day")
    for row in range(100):
        rows.others.add([f"2024-{1 + row // 28:02}-{1 + row % 28:02}"])
    data = split(rows, (), rules(time="day"))
    assert [*data.test.texts] == [f"text {row}" for row in range(90, 100)]
    rows.labels[95] = ["new"]
    rows.labels[96] = ["new", "a"]
    rows.labels[97] = ["new"]
    with pytest.raises(DataError, match="the class 'new' has no training rows"):
        split(rows, (), rules(time="day"))


def test_given_parts_are_kept_and_valid_is_split_off() -> None:
    data = join({"train": table(300, 1), "test": table(100, 2)}, (), rules())
    soundness.check(data, "the rows")
    assert [*data.report.sizes.values()] == pytest.approx([267, 33, 100], abs=4)


unit_labels = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 5), max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.lists(unit_labels, min_size=1, max_size=40), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5), (1.0,)]))
def test_whatever_the_units_each_has_a_split_and_each_label_is_in_the_first(
    units: list[dict[str, int]], shares: tuple[float, ...]
) -> None:
    sizes = [max([1, *unit.values()]) for unit in units]
    places = stratified(units, sizes, shares)
    assert all(0 <= place < len(shares) for place in places)
    first = {label for unit, place in zip(units, places, strict=True) if not place for label in unit}
    assert first == {label for unit in units for label in unit}
    assert places == stratified(units, sizes, shares)


def test_a_hundred_thousand_rows_of_fifty_labels_take_seconds() -> None:
    draw = random.Random(1)
    units = [dict.fromkeys((draw.randrange(50) for _ in range(draw.randrange(6))), 1) for _ in range(100_000)]
    begin = time.process_time()
    places = stratified(units, [1] * len(units), (0.8, 0.1, 0.1))
    assert time.process_time() - begin < 8
    assert Counter(places)[1] == pytest.approx(10_000, rel=0.03)


some_label = st.one_of(
    st.lists(st.sampled_from(["a", "b", "c", "A ", 1, None]), max_size=3),
    st.sampled_from(["a|b", "['a', 'c']", "[]", "", None, "b|", 2.0, "c"]),
)
tables = st.lists(st.tuples(st.sampled_from([*"stuvwxyz", "", "S "]) | st.text(max_size=3), some_label), max_size=60)
base = [(f"base {row}", [["a", "b"], ["b"], ["c", "a"], []][row % 4]) for row in range(16)]


@settings(max_examples=150, deadline=None)
@given(
    tables, st.sampled_from([{}, {"rows": 9}, {"min_rows": 4}, {"separator": "|"}, {"without": ("b",)}]), st.booleans()
)
def test_any_rows_of_several_labels_are_split_soundly_or_refused(
    pairs: list[tuple[str, Any]], options: dict[str, Any], given_test: bool
) -> None:
    parts = {}
    for name, prefix in (("train", ""), ("test", "other ")):
        parts[name] = Rows(f"{name}.csv")
        for text, label in [*((prefix + text, label) for text, label in base), *pairs[: None if prefix else 30]]:
            parts[name].add(text, label)
    try:
        data = join(parts, (), rules(**options)) if given_test else split(parts["test"], (), rules(**options))
    except DataError as error:
        event(f"refused: {error.what[:25]}")
        return
    event("split")
    soundness.check(data, "the rows")
