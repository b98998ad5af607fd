"""Whether the labels look like classes at all, or like another column of the table: numbers, dates, codes, texts."""

from __future__ import annotations

import re
import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

from ftkit.data.class_names import shown_name
from ftkit.data.labels import Named
from ftkit.data.one_hot import ONES, ZEROS, label_proposal, one_hot_columns, several_proposal
from ftkit.data.rows import Rows
from ftkit.formatting import listing

MANY = 20
"""Different labels from which on they are looked at as values: numbers, dates, texts."""

NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d{1,3})?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?")
_CODE = re.compile(r"(?=\S*\d)[\w#:@./-]+|\S+@\S+\.\w+|\w+://\S+")


def column_doubt(named: Named, *, rejected: bool = False) -> str:
    """A sentence where the labels look like another column than that of the classes, otherwise nothing.

    Where the classes have been `rejected`, whole numbers and codes are suspicious as well.
    """
    rows = named.total()
    if len(rows) < (MANY if not rejected else MANY // 2):
        return ""
    kind, different = _kind(rows), f"{len(rows):,} different"
    label_length = statistics.median(map(len, rows))
    if label_length > 20:  # else neither is asked how long all texts are, which takes a while
        text_length = statistics.median(array("I", map(len, _texts(named))))
        different_texts = _different(_texts(named), 2 * len(rows)) if label_length > 1.5 * text_length else 0
        if different_texts:
            return (
                f"The labels are long ({different}, {label_length:.0f} characters on the median) and the texts short "
                f"({different_texts:,} different, {text_length:.0f} characters): are text and label swapped?"
            )
    if kind == "numbers with decimals":
        return (
            f"The labels are {kind}, {different}: a quantity, not classes. ftkit does no regression: "
            f"make classes of ranges first, or name another column.{_columns(named)}"
        )
    crowded = rows.total() < 5 * len(rows)
    if kind == "dates" or (crowded and (rejected or kind in ("whole numbers with gaps", "long texts"))):
        look = f", and they look like {kind}" if kind else ""
        return f"There are {different} labels for {rows.total():,} rows{look}.{_columns(named)}"
    return ""


def _texts(named: Named) -> Iterator[str]:
    return (text for part in named.parts.values() for text in part.texts)


def _different(texts: Iterable[str], most: int) -> int:
    """How many different texts there are; 0 if they are more than `most`."""
    different: set[str] = set()
    for text in texts:
        different.add(text)
        if len(different) > most:
            return 0
    return len(different)


def _kind(names: Counter[str]) -> str:
    """What nearly all labels look like, in the plural; empty for ordinary names."""

    def share(pattern: re.Pattern[str]) -> float:
        return sum(pattern.fullmatch(name[:200]) is not None for name in names) / len(names)

    if share(_DATE) > 0.9:
        return "dates"
    if share(NUMBER) > 0.9:
        numbers = [float(name.replace(",", ".")) for name in names if NUMBER.fullmatch(name)]
        if sum(not number.is_integer() for number in numbers) > len(numbers) / 4:
            return "numbers with decimals"
        return "whole numbers" + " with gaps" * (max(numbers) - min(numbers) > 2 * len(numbers))
    if share(_CODE) > 0.9:
        return "codes or addresses"
    return "long texts" if statistics.median(map(len, names)) > 40 else ""


def _columns(named: Named) -> str:
    """The question for the right column."""
    rows = next(iter(named.parts.values()))
    if not rows.label_column:
        return " Are the labels read from the right field?"
    question = f" Is {rows.label_column!r} the right column for the labels?"
    columns = _first_values(rows)
    if not columns:
        return question
    question += f" The columns are {listing(columns, 12)}."
    few = [name for name, values in columns.items() if 1 < len({*values}) <= max(2, len(values) / 5)]
    few = [name for name in few if name != rows.label_column]
    return (
        f"{question} {shown_name(few[0])} has {len({*columns[few[0]]}):,} different values at the beginning."
        if few
        else question
    )


def _first_values(rows: Rows) -> dict[str, list[str]]:
    """The values of each column in the first rows, as text."""
    names = dict.fromkeys(name for row in rows.first_rows for name in row)
    return {name: [str(row[name]) for row in rows.first_rows if name in row] for name in names}


def one_hot_doubt(named: Named, free: Counter[str]) -> Iterator[str]:
    """A sentence where the labels are one of several columns of zeros and ones."""
    rows = next(iter(named.parts.values()))
    if not rows.label_column or not free or not {*free} <= {*ZEROS, *ONES}:
        return
    values_of = _first_values(rows)
    columns = [name for name, values in values_of.items() if len({*values}) > 1 and {*values} <= {*ZEROS, *ONES}]
    if len(columns) > 1 and rows.label_column in columns:
        together = one_hot_columns(rows.first_rows)
        advice = (
            f"Exactly one of them is 1 in each of the first rows: if they are one label, set {label_proposal(together)}."
            if rows.label_column in together
            else f"If a text can have several of these labels, set {several_proposal(columns)}."
        )
        yield (
            f"{shown_name(rows.label_column)} is one of {len(columns)} columns of zeros and ones "
            f"({listing(columns, 6)}): only this one is learnt. {advice}"
        )
