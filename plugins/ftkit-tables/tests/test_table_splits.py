"""Splits by what other columns say: the same in every format, and without any harm to the rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from ftkit_tables.table import Table

from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet")


def records(rows: int = 200, **changes: Any) -> list[dict[str, Any]]:
    """Rows of 40 customers, five each, with the labels of their customers, one row a day."""
    return [
        {
            "text": " ".join(f"w{row * 7 + step * 31}" for step in range(12)),
            "label": ("bad", "good")[row // 5 % 2],
            "customer_id": f"c{row // 5}",
            "when": (date(2024, 1, 1) + timedelta(days=rows - row)).isoformat(),
            **changes,
        }
        for row in range(rows)
    ]


def written(path: Path, some: Sequence[Mapping[str, Any]]) -> Path:
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*some[0]], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(some)
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist([*some]), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(some))
    else:
        path.write_text("\n".join(map(json.dumps, some)))
    return path


def loaded(**options: Any) -> Data:
    return Table(**options).load(7, lambda event: None)


def by_split(data: Data, some: Sequence[Mapping[str, Any]], column: str) -> list[list[Any]]:
    value = {record["text"]: record[column] for record in some}
    return [[value[text] for text in getattr(data, name).texts] for name in SPLITS]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_group_column_is_noticed_and_kept_together(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"rows.{suffix}", records())
    (warning,) = loaded(path=path).report.warnings
    assert 'group = "customer_id"' in warning
    data = loaded(path=path, group="customer_id")
    assert data.report.warnings == ()
    train, valid, test = map(set, by_split(data, records(), "customer_id"))
    assert not train & valid and not train & test and not valid & test


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("option", ["time", "order"])
def test_the_newest_rows_are_the_test_rows(tmp_path: Path, suffix: str, option: str) -> None:
    path = written(tmp_path / f"rows.{suffix}", records())
    assert any('time = "when"' in note for note in loaded(path=path).report.notes)
    train, valid, test = by_split(loaded(path=path, **{option: "when"}), records(), "when")
    assert max(train) < min(valid) <= max(valid) < min(test)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("other", FORMATS[:3])
def test_groups_across_given_files_are_noticed_in_any_format(tmp_path: Path, suffix: str, other: str) -> None:
    some = [
        {**record, "customer_id": row % 40, "label": ("bad", "good")[row % 2]} for row, record in enumerate(records())
    ]
    options = {
        "train": written(tmp_path / f"a.{suffix}", some[:120]),
        "test": written(tmp_path / f"b.{other}", some[120:]),
    }
    (warning,) = loaded(**options).report.warnings
    assert "100 % of the test rows have a value of 'customer_id'" in warning
    assert any("older than the newest training row" in note for note in loaded(**options).report.notes)


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_that_are_looked_at_are_not_part_of_the_data(tmp_path: Path, suffix: str) -> None:
    bare = [{"text": each["text"], "label": each["label"]} for each in records()]
    data = loaded(path=written(tmp_path / f"a.{suffix}", records(more=None)))
    assert data.train == loaded(path=written(tmp_path / f"b.{suffix}", bare)).train
    assert data.train.columns == {}


def test_a_column_that_is_kept_is_looked_at_as_well(tmp_path: Path) -> None:
    data = loaded(path=written(tmp_path / "rows.csv", records()), columns=("customer_id",))
    assert len(data.report.warnings) == 1
    assert set(data.train.columns) == {"customer_id"}


def test_other_columns_never_damage_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [
        f"{each['text']},{each['label']},c{row // 5}\xff,x\n".encode("latin-1") for row, each in enumerate(records())
    ]
    path.write_bytes(b"text,label,customer_id,customer_id\n" + b"".join(lines))
    assert sum(len(getattr(loaded(path=path), name)) for name in SPLITS) == 200


def test_a_field_inside_a_column_orders_and_rows_without_it_are_left_out(tmp_path: Path) -> None:
    some = [{**each, "meta": {"at": each["when"]}} for each in records()]
    some[3]["meta"] = {}
    some[9]["meta"] = {"at": ""}
    data = loaded(path=written(tmp_path / "rows.jsonl", some), order="meta.at")
    assert data.report.dropped == {"no date to order by": 2}
    train, _, test = by_split(data, some, "when")
    assert max(train) < min(test)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("group", "customer", "there is no column 'customer'"),
        ("group", "site", "the column 'site' has one value in all rows: there are no groups to keep together"),
        ("time", "date", "there is no column 'date'"),
        (
            "time",
            "customer_id",
            "the column 'customer_id' has no dates or numbers that can be read without guessing: 'c0'",
        ),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_that_cannot_decide_is_refused(
    tmp_path: Path, option: str, value: str, message: str, suffix: str
) -> None:
    path = written(tmp_path / f"rows.{suffix}", records(site="shop"))
    with pytest.raises(DataError) as caught:
        loaded(path=path, **{option: value})
    assert message in str(caught.value)


def test_dates_of_another_form_are_damage(tmp_path: Path) -> None:
    some = records(400)
    some[300]["when"] = "31/12/2024"
    path = written(tmp_path / "rows.csv", some)
    assert loaded(path=path, order="when").report.dropped == {"damaged line": 1}
    with pytest.raises(DataError, match="'31/12/2024' in 'when' is no date in the form of the first ones"):
        loaded(path=path, order="when", max_damaged=0)


def test_names_of_columns_are_matched_as_those_of_texts_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    written(path, records())
    path.write_text(path.read_text().replace("customer_id", "Customer_ID", 1))
    data = loaded(path=path, group="customer_id")
    train, _, test = map(set, by_split(data, records(), "customer_id"))
    assert not train & test


@pytest.mark.parametrize("option", ["group", "time"])
def test_a_form_without_other_columns_has_none_to_split_by(tmp_path: Path, option: str) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"__label__{('bad', 'good')[row % 2]} a text of row {row}\n" for row in range(40)))
    with pytest.raises(DataError, match="'customer_id'"):
        Table(path=path, **{option: "customer_id"}).load(7, lambda event: None)
