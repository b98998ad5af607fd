"""What is doubtful about labels is a warning, and its proposal does what it says when it is copied into the recipe."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from ftkit.contracts import Data
from ftkit.data.label_doubts import alike
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split
from ftkit.errors import DataError


def labelled(labels: Sequence[Any], source: str = "rows.csv", prefix: str = "text", times: int = 4) -> Rows:
    table = Rows(source, label_column="label")
    for index, label in enumerate([*labels] * times):
        table.add(f"{prefix} {index}", label)
    return table


def loaded(raw: Sequence[Any], files: str = "one file", classes: Sequence[str] = (), **options: Any) -> Data:
    if files == "one file":
        return split(labelled(raw), classes, Rules(seed=0, **options))
    parts = {"train": labelled(raw, "train.csv"), "test": labelled(raw, "test.csv", "other")}
    return join(parts, classes, Rules(seed=0, **options))


def proposed(sentence: str) -> dict[str, Any]:
    """The options that a sentence proposes, read as TOML."""
    options = re.findall(r'labels = \{ .* \}|unlisted = "keep"|without = \[.*?\]', sentence)
    return tomllib.loads("\n".join(dict.fromkeys(options)))


DOUBTS = [
    (["billing", "Billing", "BILLING", "a"], ["'BILLING' (4) and 'Billing' (4) and 'billing' (4)"], 2),
    (["yes", "Yes", "no"], ["'Yes' (4) and 'yes' (4)"], 2),
    (["positive", "positive.", "negative"], ["'positive' (4) and 'positive.' (4)"], 2),
    (["sci_tech", "sci-tech", "sport"], ["'sci-tech' (4) and 'sci_tech' (4)"], 2),
    (["paypal", "p\u0430ypal", "visa"], ["'paypal' (4) and 'p\\u0430ypal' (4)"], 2),
    (["\uff21", "A", "b"], ["'A' (4) and '\uff21' (4)"], 2),
    (["7", "007", "8"], ["'007' (4) and '7' (4)"], 2),
    (["1.1", "1.10", "2"], ["'1.1' (4) and '1.10' (4)"], 2),
    ([1000, "1e3", 5], ["'1000' (4) and '1e3' (4)"], 2),
    ([0, 1, True, False], ["yes and no in 2 ways", "4 classes: '0' (4), '1' (4), 'false' (4), 'true' (4)"], 2),
    (["0", "1", "true", "False"], ["yes and no in 2 ways"], 2),
    (["yes", "no", "N", "Y", "1"], ["yes and no in 3 ways"], 2),
    (["a", "b", "label"], ["4 rows have the column's name 'label' as the label"], 2),
    (["a", "b", "N/A"], ["'N/A' (4 rows) may mean that there is no label"], 2),
    (["a", "b", "nan", "null"], ["'nan' (4 rows), 'null' (4 rows)"], 2),
    ([0, 1, 2, -1], ["The label -1 (4 rows) beside 0 to 2"], 3),
]


@pytest.mark.parametrize("files", ["one file", "two files"])
@pytest.mark.parametrize(("labels", "parts", "classes"), DOUBTS)
def test_a_doubt_is_one_warning_and_its_proposal_settles_it(
    labels: list[Any], parts: list[str], classes: int, files: str
) -> None:
    data = loaded(labels, files)
    (warning,) = data.report.warnings
    counts = [
        part.replace("(4)", "(8)").replace("4 rows", "8 rows") if files == "two files" else part for part in parts
    ]
    assert all(part in warning for part in counts), warning
    settled = loaded(labels, files, **proposed(warning))
    assert len(settled.classes) == classes < len(data.classes)
    assert settled.report.warnings == ()
    listed = loaded(labels, files, classes=data.classes)
    assert listed.classes == data.classes
    assert listed.report.warnings == (), "whoever lists the classes means them"


@pytest.mark.parametrize("separator", ["|", ";", ",", "/", "+", "&", ", ", " | "])
def test_combinations_of_other_classes_are_a_warning_of_multi_label_data(separator: str) -> None:
    labels = ["billing", "shipping", f"billing{separator}shipping", "returns"]
    (warning,) = loaded(labels).report.warnings
    assert warning.startswith("25.0 % of the rows (4) have a label that combines others")
    assert warning.endswith(f'set task = "multi-label" and separator = "{separator.strip()}".')


@pytest.mark.parametrize(
    "labels",
    [
        ["billing", "shipping", "returns"],
        [":)", ";)", ":(", "+", "-", "!"],
        ["level -1", "level 1", "grade A", "grade A-"],
        ["c", "c++", "c#", "objective-c"],
        ["-1", "0", "1"],
        [-1, 1],
        ["no", "yes", "maybe"],
        [0, 1, 2, 3],
        ["food/drink", "food", "travel"],
        ["comp.graphics", "comp.sys", "rec.autos"],
        ["R&D", "sales"],
        ["0.5", "1.5", "2.5"],
        ["1234567", "1234568"],
        ["12345678901234567890", "12345678901234567891"],
        ["\u0436\u0430\u043b\u043e\u0431\u0430", "\u0432\u043e\u043f\u0440\u043e\u0441"],
        ["\u4ea7\u54c1", "\u7269\u6d41"],
        [str(number) for number in range(77)],
        [f"intent_{number}" for number in range(150)],
        ["How do I change my address?", "Where is the parcel that I ordered last week?"],
    ],
)
def test_ordinary_labels_raise_no_doubt(labels: list[Any]) -> None:
    assert loaded(labels).report.warnings == ()


def test_names_that_differ_in_more_than_writing_are_not_alike() -> None:
    assert len({*map(alike, ("a", "b", "a b", "ab", "-1", "1", "1.5", "15", "c#", "c", "..."))}) == 11


def warning_or_hint(table: Rows) -> str:
    """What is said of rows that load, or of rows that do not."""
    try:
        return " ".join(split(table, (), Rules(seed=0, near_copies="ignored")).report.warnings)
    except DataError as error:
        assert len(error.what) < 250  # noqa: PT017  # whichever error it is, it must be short
        return error.hint


LOOKS = [
    ([str(number) for number in range(60)], 1, "60 different labels for 60 rows, and they look like whole numbers"),
    ([number / 7 for number in range(60)], 4, "numbers with decimals, 60 different: a quantity, not classes"),
    (
        [f"2026-01-{number:02d}" for number in range(1, 29)],
        4,
        "28 different labels for 112 rows, and they look like dates",
    ),
    ([f"{number:02d}.02.2026" for number in range(1, 29)], 1, "they look like dates"),
    ([f"T-{number}" for number in range(60)], 1, "they look like codes or addresses"),
    ([f"user{number}@example.com" for number in range(60)], 1, "they look like codes or addresses"),
    ([f"word{chr(97 + number)}" for number in range(26)], 1, "26 different labels for 26 rows."),
]


@pytest.mark.parametrize(("labels", "times", "expected"), LOOKS)
@pytest.mark.parametrize("count_of_columns", [0, 3])
def test_labels_that_look_like_another_column_are_named(
    labels: list[Any], times: int, expected: str, count_of_columns: int
) -> None:
    table = labelled(labels, times=times)
    if count_of_columns:
        for index, label in enumerate(labels):
            table.peek({"text": f"text {index}", "team": "ab"[index % 2], "label": label})
    sentence = warning_or_hint(table)
    assert expected in sentence
    assert "Is 'label' the right column for the labels?" in sentence
    assert ("The columns are text, team, label. 'team' has 2 different values" in sentence) == bool(count_of_columns)


def test_a_source_without_columns_is_asked_for_its_field() -> None:
    table = labelled(range(60), times=1)
    table.label_column = ""
    with pytest.raises(DataError, match="have fewer rows than there are splits") as caught:
        split(table, (), Rules(seed=0))
    assert caught.value.hint.endswith("Are the labels read from the right field?")


@pytest.mark.parametrize("different", [3, 120])
def test_swapped_texts_and_labels_are_noticed_whether_they_load_or_not(different: int) -> None:
    table = Rows("rows.csv", label_column="label")
    for index in range(120 * 4):
        text = ("billing", "shipping", "returns")[index % 3] if different == 3 else f"no {index % 240}"
        table.add(text, f"the long and winding sentence of customer number {index % 120} about a parcel")
    try:
        sentence = split(table, (), Rules(seed=0, near_copies="ignored")).report.warnings[0]
    except DataError as error:
        sentence = error.hint
    assert f"The labels are long (120 different, {65} characters on the median)" in re.sub(
        r"6\d characters", "65 characters", sentence
    )
    assert "are text and label swapped?" in sentence


def test_one_of_several_one_hot_columns_is_noticed() -> None:
    table = labelled([0, 1, 0])
    columns = [(0, 1, 0), (1, 0, 0), (0, 0, 1)]
    for first, second, third in columns:
        table.peek({"text": "some text", "id": 5, "label": first, "shipping": str(second), "returns": bool(third)})
    (warning,) = split(table, (), Rules(seed=0)).report.warnings
    assert (
        "'label' is one of 3 columns of zeros and ones (label, shipping, returns): only this one is learnt" in warning
    )
    table.first_rows = [{"text": "some text", "label": each} for each, *_ in columns]
    assert split(table, (), Rules(seed=0)).report.warnings == ()
