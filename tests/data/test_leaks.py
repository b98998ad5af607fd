"""What other columns say about splits, and splits by them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from ftkit.contracts import SPLITS, Data
from ftkit.data import leaks, other_columns
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split
from ftkit.errors import DataError

Record = Mapping[str, Any]


def prose(drawn: random.Random) -> str:
    return " ".join(f"w{drawn.randrange(5000)}" for _ in range(20))


def records(rows: int, seed: int = 1, **columns: Any) -> list[dict[str, Any]]:
    """Rows of two classes whose texts share nothing; each column is made of the row's number and a random source."""
    drawn = random.Random(seed)
    made = []
    for row in range(rows):
        values = {name: make(row, drawn) for name, make in columns.items()}
        label = values.pop("label", drawn.choice(["bad", "good"]))
        made.append({"text": prose(drawn), "label": label, **values})
    return made


def table(some: Sequence[Record], name: str = "rows.csv", group: str = "", time: str = "") -> Rows:
    """The records as a reader of files makes rows of them."""
    rows = Rows(name)
    rows.others = OtherColumns.choose(some[:200], ("text", "label"), group, time)
    for record in some:
        rows.add(record["text"], record["label"])
        rows.others.add([record.get(name) for name in rows.others.names])
    return rows


def divided(some: Sequence[Record], **rules: Any) -> Data:
    wanted = {key: rules[key] for key in ("group", "time") if key in rules}
    return split(table(some, **wanted), (), Rules(seed=7, **rules))


def given(train: Sequence[Record], test: Sequence[Record], **rules: Any) -> Data:
    wanted = {key: rules[key] for key in ("group", "time") if key in rules}
    parts = {"train": table(train, "train.csv", **wanted), "test": table(test, "test.csv", **wanted)}
    return join(parts, (), Rules(seed=7, **rules))


def sentences(data: Data, word: str) -> list[str]:
    return [each for each in (*data.report.notes, *data.report.warnings) if word in each]


def by_customer(row: int, drawn: random.Random) -> str:
    return f"c{row // 5}"


def by_label_of_customer(row: int, drawn: random.Random) -> str:
    return ["bad", "good"][(row // 5) % 2]


CUSTOMERS: dict[str, Any] = {"customer_id": by_customer, "label": by_label_of_customer}


def test_a_group_column_whose_rows_share_labels_is_a_warning_with_a_proposal() -> None:
    data = divided(records(400, **CUSTOMERS))
    (warning,) = data.report.warnings
    assert "of the test rows have a value of 'customer_id' that training rows have too" in warning
    assert "share their label" in warning
    assert 'group = "customer_id"' in warning


def test_the_proposal_settles_the_warning() -> None:
    some = records(400, **CUSTOMERS)
    data = divided(some, group="customer_id")
    assert sentences(data, "group = ") == []
    customer = {record["text"]: record["customer_id"] for record in some}
    sets = [{customer[text] for text in getattr(data, name).texts} for name in SPLITS]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    assert sum(map(len, sets)) == 80
    assert [len(getattr(data, name)) for name in SPLITS] == pytest.approx([320, 40, 40], abs=12)
    assert any("80 groups by 'customer_id'" in note for note in data.report.notes)
    assert set(divided(some[::-1], group="customer_id").test.texts) == set(data.test.texts), (
        "the order of rows is nothing"
    )


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("customer_id", by_customer, "notes"),  # labels are by chance
        ("customerId", by_customer, "notes"),
        ("thread", by_customer, "notes"),
        ("id", lambda row, drawn: row, ""),
        ("row_number", lambda row, drawn: f"{row}", ""),
        ("language", lambda row, drawn: drawn.choice(["de", "en", "fr"]), ""),
        ("product", lambda row, drawn: drawn.choice(["lamp", "chair"]), ""),
        ("score", lambda row, drawn: drawn.random(), ""),
        ("votes", lambda row, drawn: drawn.randrange(60), ""),
        ("note", lambda row, drawn: prose(drawn), ""),
        ("url", lambda row, drawn: None, ""),
        ("lines", lambda row, drawn: [row], ""),
    ],
)
def test_which_columns_name_groups(name: str, make: Any, kind: str) -> None:
    data = divided(records(400, **{name: make}))
    assert data.report.warnings == ()
    assert bool(sentences(data, repr(name))) == bool(kind)


def test_a_column_of_any_name_is_noted_where_its_rows_share_labels() -> None:
    data = divided(records(400, label=by_label_of_customer, kennel=by_customer))
    assert data.report.warnings == ()
    (note,) = sentences(data, "kennel")
    assert "share their label" in note


def test_a_column_with_the_label_in_other_words_names_no_groups() -> None:
    some = records(600, label=lambda row, drawn: f"class {row % 30}")
    for record in some:
        record["label_text"] = f"the {record['label']}"
    assert sentences(divided(some), "label_text") == []


def test_groups_in_both_given_files_are_seen_in_any_type() -> None:
    some = records(400, customer=lambda row, drawn: row % 80, label=lambda row, drawn: ["bad", "good"][row % 2])
    test = [{**record, "customer": f" {record['customer']} "} for record in some[300:]]
    (warning,) = given(some[:300], test).report.warnings
    assert "100 % of the test rows" in warning
    assert 'one file with all rows and group = "customer"' in warning
    (warning,) = given(some[:300], test, group="customer").report.warnings
    apart = [{**record, "customer": f"t{record['customer']}"} for record in test]
    assert sentences(given(some[:300], apart, group="customer"), "test rows have") == []


def test_numbers_that_begin_anew_in_each_file_are_no_groups() -> None:
    data = given(records(300, id=lambda row, drawn: row), records(80, 2, id=lambda row, drawn: row))
    assert sentences(data, "'id'") == []


def test_groups_too_few_for_three_splits_are_refused() -> None:
    with pytest.raises(DataError, match="2 groups of the column 'shop' are too few or too large"):
        divided(records(100, shop=lambda row, drawn: row % 2), group="shop")


def test_a_class_within_one_group_stays_in_training_with_a_warning() -> None:
    def label(row: int, drawn: random.Random) -> str:
        return "odd" if row < 5 else ["bad", "good"][row % 2]

    data = divided(records(400, customer_id=by_customer, label=label), group="customer_id")
    assert data.report.counts["train"]["odd"] == 5
    assert any("The test split has no rows of 'odd'" in warning for warning in data.report.warnings)


def test_rows_without_a_group_are_on_their_own_and_near_copies_stay_with_their_groups() -> None:
    some = records(300, customer_id=lambda row, drawn: "" if row % 3 else f"c{row // 6}")
    copies = [{**record, "text": f"{record['text']} again", "customer_id": ""} for record in some[:60]]
    data = divided([*some, *copies], group="customer_id")
    where = {text: name for name in SPLITS for text in getattr(data, name).texts}
    assert all(where[f"{record['text']} again"] == where[record["text"]] for record in some[:60])
    assert len(data.test) == pytest.approx(36, abs=6)


def day(row: int, drawn: random.Random) -> str:
    return (date(2024, 1, 1) + timedelta(days=row)).isoformat()


def test_the_newest_rows_are_the_test_rows() -> None:
    some = records(200, date=day)
    data = divided(some, time="date")
    when = {record["text"]: record["date"] for record in some}
    train, valid, test = ([when[text] for text in getattr(data, name).texts] for name in SPLITS)
    assert max(train) < min(valid) <= max(valid) < min(test)
    assert [len(train), len(valid), len(test)] == [160, 20, 20]
    assert any("test 2024-06-29 to 2024-07-18" in note for note in data.report.notes)


def test_a_column_of_dates_is_mentioned_where_rows_are_split_by_chance() -> None:
    (note,) = sentences(divided(records(200, date=day)), "'date'")
    assert 'time = "date"' in note
    assert "2024-01-01" in note
    assert (
        sentences(
            divided(
                records(200, size=lambda row, drawn: drawn.randrange(9)),
            ),
            "time = ",
        )
        == []
    )


def test_given_files_that_were_not_split_in_time_are_noted() -> None:
    some = records(300, date=day)
    assert sentences(given(some[:200], some[200:]), "older") == []
    (note,) = sentences(given([*some[:100], *some[200:]], some[100:200]), "older")
    assert note.startswith("100 % of the test rows are older than the newest training row, by 'date'")


def test_a_class_that_is_newer_than_training_is_refused() -> None:
    some = records(200, date=day, label=lambda row, drawn: "new" if row > 170 else ["bad", "good"][row % 2])
    with pytest.raises(DataError, match="the class 'new' has no training rows"):
        divided(some, time="date")


def test_near_copies_in_given_files_are_counted_and_left_where_they_are() -> None:
    train = records(300)
    clean = records(100, 2)
    copies = [{"text": f"{record['text']} indeed", "label": record["label"]} for record in train[:40]]
    data = given(train, [*clean, *copies])
    (warning,) = data.report.warnings
    assert "40 test rows (29 %) have a near copy in train or valid" in warning
    assert len(data.test) == 140
    assert given(train, [*clean, *copies], near_copies="ignored").report.warnings == ()
    one = given(train, [*clean, copies[0]])
    assert one.report.warnings == ()
    assert sentences(one, "1 test row (1.0 %) has a near copy")
    assert sentences(given(train, clean), "near copy") == []


def test_group_and_time_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"):
        Rules(seed=1, group="a", time="b")


def test_a_column_to_order_by_must_have_dates() -> None:
    with pytest.raises(DataError, match="'when' has no dates or numbers"):
        table(records(30, when=lambda row, drawn: "03/04/2024"), time="when")


def test_columns_of_which_hardly_a_value_repeats_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_columns, "LOOK", 100)
    some = records(300, customer=lambda row, drawn: row, thread=by_customer)
    assert list(table(some).others.groups) == ["thread"]
    assert list(table(some, group="customer").others.groups) == ["customer", "thread"]


def test_few_columns_are_watched() -> None:
    names: dict[str, Any] = {f"user_{number}": by_customer for number in range(30)}
    assert len(table(records(50, **names)).others.names) == other_columns.MOST


def test_agreement_is_counted_by_hand() -> None:
    import numpy as np

    # Two groups of two: one agrees, one does not; by chance, 2 of 6 pairs agree.
    together = leaks._Together.of(np.array([1, 1, 2, 2, 0]), ["a", "a", "a", "b", "b"])
    assert (together.groups, together.repeated) == (2, 1.0)
    assert together.agreement == pytest.approx((1 / 2 - 3 / 6) / (1 - 3 / 6))
    assert leaks._Together.of(np.array([1, 1, 2, 2]), ["a", "a", "b", "b"]).agreement == 1


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_any_column_that_a_data_set_keeps_can_group_and_order(task: Any) -> None:
    def rows(**changes: Any) -> Rows:
        table = Rows("rows.csv", label_column="label")
        for row in range(120):
            label = "ab"[row % 2] if task == "single-label" else [["a"], ["a", "b"], []][row % 3]
            values = {"user": f"u{row // 4}", "day": f"2024-{1 + row // 28:02}-{1 + row % 28:02}"}
            table.add(f"text {row}", label, **(values | changes.get(f"row{row}", {})))
            table.lines.append(row + 2)
        return table

    data = split(rows(), (), Rules(seed=1, task=task, group="user", near_copies="ignored"))
    train, valid, test = ({*part.columns["user"]} for part in (data.train, data.valid, data.test))
    assert not train & valid and not train & test and not valid & test
    assert data.report.shared == {"group": {"user": 0.0}}
    data = split(rows(), (), Rules(seed=1, task=task, time="day"))
    assert max(data.train.columns["day"]) < min(data.valid.columns["day"])
    assert max(data.valid.columns["day"]) < min(data.test.columns["day"])
    data = split(rows(row5={"day": None}, row6={"day": ""}), (), Rules(seed=1, task=task, time="day"))
    assert data.report.dropped == {"no date to order by": 2}
    with pytest.raises(DataError, match="'soon' in 'day' is no date in the form of the first ones") as caught:
        split(rows(row70={"day": "soon"}), (), Rules(seed=1, task=task, time="day"))
    assert caught.value.where == "rows.csv:72"
    with pytest.raises(DataError, match="has not read the column 'author'"):
        split(rows(), (), Rules(seed=1, task=task, group="author"))
