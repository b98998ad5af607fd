"""Splitting: no text in two splits, every row accounted for, the same splits for the same seed."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.contracts import SPLITS, Data
from ftkit.data.rows import Rows
from ftkit.data.splits import CONTRADICTORY, DUPLICATE, EMPTY, RARE, SAMPLED, Rules, fingerprint, folded, join, split
from ftkit.errors import DataError

AB = ("a", "b")
Pairs = list[tuple[str, str]]
PINNED_TEST = ["text 20", "text 29", "text 3", "text 32"]
PINNED_FINGERPRINT = "92383c0815c18127c76da9784b5fd7816cdd4ef9db455f48a94ce4bdf702ff85"


def rows(*pairs: tuple[str, str], source: str = "rows.csv") -> Rows:
    table = Rows(source)
    for text, label in pairs:
        table.add(text, label, length=len(text))
    return table


def many(count: int, classes: tuple[str, ...] = AB, prefix: str = "text") -> Rows:
    return rows(*((f"{prefix} {index}", classes[index % len(classes)]) for index in range(count)))


def pairs_of(data: Data) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for name in SPLITS:
        part = getattr(data, name)
        pairs.update((text, data.classes[label]) for text, label in zip(part.texts, part.labels, strict=True))
    return pairs


def adds_up(data: Data) -> bool:
    kept = sum(len(getattr(data, name)) for name in SPLITS)
    counted = sum(sum(by_class.values()) for by_class in data.report.counts.values())
    return data.report.rows_read == kept + sum(data.report.dropped.values()) and counted == kept


def leaks(data: Data) -> set[str]:
    folds = [{folded(text) for text in getattr(data, name).texts} for name in SPLITS]
    return (folds[0] & folds[1]) | (folds[0] & folds[2]) | (folds[1] & folds[2])


texts = st.one_of(
    st.sampled_from(["Good", "good ", "GOOD", "caf\u00e9", "cafe\u0301", "stra\u00dfe", "STRASSE", " ", "", "\t\n"]),
    st.text(st.characters(), max_size=4),
)
tables = st.lists(st.tuples(texts, st.sampled_from(AB)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(0, 5), st.sampled_from([None, 6, 12]))
def test_any_rows_split_without_a_shared_text_and_with_every_row_counted_or_are_refused(
    table: Pairs, seed: int, limit: int | None
) -> None:
    try:
        data = split(rows(*table), AB, Rules(seed=seed, rows=limit))
    except DataError:
        clean: Counter[str] = Counter()
        labels_of: dict[str, set[str]] = {}
        for text, label in table:
            labels_of.setdefault(folded(text), set()).add(label)
        for key, labels in labels_of.items():
            if key and len(labels) == 1:
                clean[next(iter(labels))] += 1
        assert any(clean[name] < 3 for name in AB)
        return
    assert not leaks(data)
    assert adds_up(data)
    everything = [folded(text) for name in SPLITS for text in getattr(data, name).texts]
    assert len(everything) == len(set(everything))
    assert all(size > 0 for counts in data.report.counts.values() for size in counts.values())


@settings(max_examples=150, deadline=None)
@given(tables, tables, st.one_of(st.none(), tables), st.integers(0, 5))
def test_whatever_splits_come_no_text_is_both_trained_and_measured_on(
    train: Pairs, test: Pairs, valid: Pairs | None, seed: int
) -> None:
    base = [(f"train {index}", AB[index % 2]) for index in range(8)]
    parts = {"train": rows(*base, *train), "test": rows(("t1", "a"), ("t2", "b"), *test, source="test.csv")}
    if valid is not None:
        parts["valid"] = rows(("v1", "a"), ("v2", "b"), *valid, source="valid.csv")
    data = join(parts, AB, Rules(seed=seed))
    assert not leaks(data)
    assert adds_up(data)
    tested = {folded(text) for text, _ in test}
    assert not tested & {folded(text) for part in (data.train, data.valid) for text in part.texts}


@given(st.permutations(range(40)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_rows_does_not_change_the_splits(order: list[int]) -> None:
    pairs = [(f"text {index}", AB[index % 2]) for index in range(40)]
    before = split(rows(*pairs), AB, Rules(seed=3))
    after = split(rows(*(pairs[index] for index in order)), AB, Rules(seed=3))
    assert set(before.test.texts) == set(after.test.texts)
    assert set(before.valid.texts) == set(after.valid.texts)


def test_every_class_keeps_its_share_in_every_split() -> None:
    table = rows(*((f"text {index}", "rare" if index % 10 == 0 else "common") for index in range(1000)))
    data = split(table, ("rare", "common"), Rules(seed=1))
    assert data.report.counts == {
        "train": {"rare": 80, "common": 720},
        "valid": {"rare": 10, "common": 90},
        "test": {"rare": 10, "common": 90},
    }


def test_other_shares_are_kept() -> None:
    data = split(many(100), AB, Rules(seed=1, shares=(0.5, 0.2, 0.3)))
    assert [len(getattr(data, name)) for name in SPLITS] == [50, 20, 30]


def test_three_rows_of_a_class_are_enough_whatever_the_shares() -> None:
    for shares in ((0.8, 0.1, 0.1), (0.01, 0.01, 0.98), (0.98, 0.01, 0.01)):
        data = split(many(6), AB, Rules(seed=1, shares=shares))
        assert all(counts == {"a": 1, "b": 1} for counts in data.report.counts.values())


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    first, again, other = (split(many(200), AB, Rules(seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert first.report.fingerprint != other.report.fingerprint
    assert set(first.test.texts) != set(other.test.texts)


def test_the_splits_of_a_seed_are_pinned_for_all_platforms_and_versions() -> None:
    data = split(many(40), AB, Rules(seed=7))
    assert sorted(data.test.texts) == PINNED_TEST
    assert data.report.fingerprint == PINNED_FINGERPRINT


def test_nearly_every_test_row_stays_a_test_row_when_the_data_grows() -> None:
    small = split(many(2000), AB, Rules(seed=7))
    grown = split(many(2200), AB, Rules(seed=7))
    stayed = set(small.test.texts) & set(grown.test.texts)
    assert len(stayed) > 0.9 * len(small.test)


def test_texts_that_differ_in_case_or_white_space_or_composition_are_one_text() -> None:
    table = many(12)
    for text in ("Caf\u00e9  noir", "cafe\u0301 noir", " CAF\u00c9\tNOIR\n"):
        table.add(text, "a", length=1)
    data = split(table, AB, Rules(seed=0))
    assert data.report.dropped == {DUPLICATE: 2}
    kept = [text for name in SPLITS for text in getattr(data, name).texts if "noir" in text.lower()]
    assert kept == ["Caf\u00e9  noir"], "the first is kept as it was written"


def test_all_rows_of_a_text_with_contradictory_labels_are_left_out() -> None:
    table = rows(
        *((f"text {index}", AB[index % 2]) for index in range(12)), ("Same", "a"), ("same", "a"), ("same ", "b")
    )
    data = split(table, AB, Rules(seed=0))
    assert data.report.dropped == {CONTRADICTORY: 3}
    assert adds_up(data)


def test_texts_of_nothing_but_white_space_are_left_out() -> None:
    data = split(
        rows(*((f"t{index}", AB[index % 2]) for index in range(12)), ("", "a"), (" \n\u00a0", "b")), AB, Rules(seed=0)
    )
    assert data.report.dropped == {EMPTY: 2}


def test_rows_the_reader_left_out_are_part_of_the_report() -> None:
    table = many(20)
    table.drop("no label", 4)
    table.damage(3, "not valid JSON")
    table.damage(9, "not valid JSON")
    data = split(table, AB, Rules(seed=0), notes=["from the reader"])
    assert data.report.rows_read == 26
    assert data.report.dropped == {"no label": 4, "damaged line": 2}
    assert data.report.damaged_lines == (3, 9)
    assert data.report.notes == ("from the reader",)


def test_lengths_are_quantiles_in_words() -> None:
    table = rows(*((" ".join([f"w{count}"] * count), AB[count % 2]) for count in range(1, 101)))
    assert split(table, AB, Rules(seed=0)).report.lengths == {"p5": 5, "p50": 50, "p95": 95, "max": 100}


def test_columns_stay_with_their_rows() -> None:
    data = split(many(50), AB, Rules(seed=0))
    for name in SPLITS:
        part = getattr(data, name)
        assert part.columns["length"] == tuple(len(text) for text in part.texts)


def test_half_of_a_surrogate_pair_is_split_as_any_text() -> None:
    table = many(12)
    table.add("broken \ud83d emoji", "a", length=1)
    first, again = split(table, AB, Rules(seed=0)), split(table, AB, Rules(seed=0))
    assert first.report.fingerprint == again.report.fingerprint
    assert sum(pairs_of(first).values()) == 13


def test_the_fingerprint_depends_on_texts_labels_classes_and_assignment() -> None:
    data = split(many(30), AB, Rules(seed=0))
    parts = [data.train, data.valid, data.test]
    same = fingerprint(data.classes, parts)
    assert same == data.report.fingerprint
    assert fingerprint(("a", "c"), parts) != same
    assert fingerprint(data.classes, [data.train, data.test, data.valid]) != same
    other_label = dataclasses.replace(data.train, labels=(1 - data.train.labels[0], *data.train.labels[1:]))
    other_text = dataclasses.replace(data.train, texts=(data.train.texts[0] + " ", *data.train.texts[1:]))
    assert fingerprint(data.classes, [other_label, data.valid, data.test]) != same
    assert fingerprint(data.classes, [other_text, data.valid, data.test]) != same


def test_a_sample_keeps_the_proportions_and_is_the_same_for_the_same_seed() -> None:
    table = rows(*((f"text {index}", "rare" if index % 10 == 0 else "common") for index in range(1000)))
    data, again = (split(table, ("rare", "common"), Rules(seed=1, rows=100)) for _ in range(2))
    assert data == again
    assert sum(pairs_of(data).values()) == 100
    assert data.report.dropped == {SAMPLED: 900}
    assert sum(counts["rare"] for counts in data.report.counts.values()) == 10


def test_classes_below_min_rows_are_left_out_and_named() -> None:
    table = many(20)
    table.add("odd one", "c", length=1)
    data = split(table, ("a", "b", "c"), Rules(seed=0, min_rows=3))
    assert data.classes == AB
    assert data.report.dropped == {RARE: 1}
    assert "c" in data.report.notes[0]


@pytest.mark.parametrize(
    ("table", "classes", "message"),
    [
        (rows(), AB, "there are no rows"),
        (rows(("", "a"), (" ", "b")), AB, "no rows are left: 2 empty text"),
        (rows(*((f"t{i}", "a") for i in range(9))), AB, "only one class: all 9 rows are 'a'"),
        (rows(*((f"t{i}", "a") for i in range(9)), ("x", "b"), ("y", "b")), AB, "'b' has 2"),
        (rows(*((f"t{i}", "a") for i in range(9)), ("x", "bb")), AB, "none of the classes: 'bb' (1)"),
    ],
)
def test_rows_that_cannot_be_split_are_refused_with_the_reason_the_place_and_a_hint(
    table: Rows, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        split(table, classes, Rules(seed=0))
    assert message in caught.value.what
    assert caught.value.where == "rows.csv"
    assert caught.value.hint


def test_min_rows_that_leaves_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="min_rows leaves 1 class"):
        split(rows(*((f"t{i}", "a") for i in range(9)), ("x", "b")), AB, Rules(seed=0, min_rows=5))


@pytest.mark.parametrize(
    "options",
    [
        {"shares": (0.5, 0.5)},
        {"shares": (0.8, 0.2, 0.0)},
        {"shares": (0.8, 0.1, 0.2)},
        {"shares": (float("nan"), 0.5, 0.5)},
        {"rows": 5},
        {"min_rows": -1},
    ],
)
def test_rules_that_cannot_be_followed_are_refused_naming_the_option(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Rules(seed=0, **options)


def test_a_text_in_two_splits_stays_in_the_one_it_is_measured_in_and_is_counted() -> None:
    data = join(
        {
            "train": rows(("In Test", "a"), ("in valid", "b"), ("own", "a"), ("own b", "b"), source="train.csv"),
            "valid": rows(("in valid", "b"), ("va", "a"), ("in both", "a"), source="valid.csv"),
            "test": rows(("in test", "a"), ("tb", "b"), ("in both", "b"), source="test.csv"),
        },
        AB,
        Rules(seed=0),
    )
    assert data.train.texts == ("own", "own b")
    assert data.valid.texts == ("in valid", "va")
    assert data.test.texts == ("in test", "tb", "in both")
    assert data.report.dropped == {"text is also in test": 2, "text is also in valid": 1}
    assert data.report.source == "train.csv, valid.csv, test.csv"


def test_without_valid_rows_a_share_of_train_becomes_the_valid_split() -> None:
    data = join({"train": many(90), "test": many(10, prefix="other")}, AB, Rules(seed=0))
    assert [len(getattr(data, name)) for name in SPLITS] == [80, 10, 10]
    assert "split off" in data.report.notes[-1]


def test_a_sample_of_ready_splits_takes_rows_of_each_in_proportion() -> None:
    data = join({"train": many(800), "test": many(200, prefix="other")}, AB, Rules(seed=0, rows=100))
    assert len(data.test) == 20
    assert len(data.train) + len(data.valid) == 80
    assert adds_up(data)


def test_a_ready_split_of_one_class_is_refused_naming_the_file() -> None:
    with pytest.raises(DataError) as caught:
        join({"train": many(20), "test": rows(("x", "a"), source="test.csv")}, AB, Rules(seed=0))
    assert caught.value.what == "only one class ('a') is left in test.csv, so it measures nothing"
    assert caught.value.where == "test.csv"


def test_damaged_lines_of_several_files_are_reported_by_file() -> None:
    train = many(20)
    train.damage(4, "not valid JSON")
    data = join({"train": train, "test": many(4, prefix="t")}, AB, Rules(seed=0))
    assert any("rows.csv: line 4" in note for note in data.report.notes)


def test_a_hundred_thousand_rows_are_split_in_seconds() -> None:
    table = many(100_000)
    begun = time.process_time()
    split(table, AB, Rules(seed=0))
    assert time.process_time() - begun < 10
