"""Whether the model is right on a user's own examples: the texts that must never be wrong."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ftkit import formatting, pairs, strict_json
from ftkit.contracts import TASKS, Contender, Data, Task, Verdict
from ftkit.errors import DataError
from ftkit.evaluation import answer_rules, decisions, option_checks, verdicts
from ftkit.evaluation.contenders import probabilities_of
from ftkit.formatting import percent

BETWEEN = "|"
"""What stands between several labels of a text."""


@dataclass(frozen=True)
class Example:
    """A text, the class it must get or several, and the line it begins in."""

    text: str
    label: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Passes when the model answers enough of a table of texts as the table says."""

    name: ClassVar[str] = "examples"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    path: Path
    """A csv file with a header, or a jsonl file, in UTF-8; a relative path is taken from the recipe's folder."""
    text: str | tuple[str, ...] = "text"
    """The column with the texts; for pairs both columns, by default those of the data set."""
    label: str = "label"
    """The column with the class names; several labels of a text are separated by `|`, or a list in jsonl."""
    min_share: float = 1.0
    """The least share of the examples that must be right."""
    show: int = 3
    """How many wrong answers to name in the sentence."""

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in (".csv", ".jsonl"):
            raise ValueError(f"path must name a .csv or .jsonl file, not {self.path.name}")
        if self.label in ((self.text,) if isinstance(self.text, str) else self.text):
            raise ValueError(f"label must be another column than text, not {self.label!r}")
        if not isinstance(self.text, str) and len({*self.text}) != 2:
            raise ValueError("text must be one column, or the two of a pair")
        option_checks.in_range("min_share", self.min_share, 0, 1)
        option_checks.at_least("show", self.show, 0)

    def foresee(self, data: Data) -> None:
        """Read the table. Raises: DataError for a file that cannot be read, and for labels that are no classes."""
        self._rows(data)

    def _rows(self, data: Data) -> list[Example]:
        rows, classes = read(self.path, self._texts(data), self.label), data.classes
        unknown: dict[str, int] = {}
        for row in rows:
            for label in _labels(row, data):
                if label not in classes:
                    unknown.setdefault(label, row.line)
        if unknown:
            (label, line), *others = unknown.items()
            more = formatting.listing([f"{other!r} in line {place}" for other, place in others], 5)
            near = difflib.get_close_matches(label, classes, 1)
            raise DataError(
                f"the label {label!r} is no class of the data set" + (f"; nor is {more}" if more else ""),
                where=f"{self.path}:{line}",
                hint=(f"Did you mean {near[0]!r}? " if near else "")
                + f"The classes are {formatting.listing(classes, 20)}.",
            )
        return rows

    def _texts(self, data: Data) -> tuple[str, ...]:
        """The columns with the texts. Raises: DataError where they are not as many as those of a row."""
        if self.text == "text":
            return data.fields
        named = (self.text,) if isinstance(self.text, str) else self.text
        if len(named) != len(data.fields):
            raise DataError(
                f"a row of the data has {formatting.count(len(data.fields), 'text')}, {' and '.join(data.fields)}; text names {len(named)}",
                where=f"{self.name}.text",
                hint="Name a column for each of them.",
            )
        return named

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the candidate's answers with the table. Raises: DataError as `foresee` does."""
        import numpy as np

        classes, task = candidate.data.classes, candidate.data.task
        rows = self._rows(candidate.data)
        probabilities = probabilities_of(candidate, [row.text for row in rows])
        wanted = decisions.targets(
            [[classes.index(each) for each in _labels(row, candidate.data)] for row in rows],
            len(classes),
            "multi-label",
        )
        finite = np.isfinite(probabilities).all(axis=1)
        known = np.where(finite[:, None], probabilities, 0)
        answers = answer_rules.decide(known, classes, task, candidate.rule).answers
        right = finite & (answers == wanted).all(axis=1)
        share = float(right.mean())
        met = share >= self.min_share - verdicts.ROUNDING
        sentence = f"{int(right.sum()):,} of {formatting.count(len(rows), 'example')} ({percent(share)}) are right "
        sentence += f"(at least {percent(self.min_share)} required)"
        wrong = [
            f"line {rows[index].line} {formatting.quoted(rows[index].text)} is {formatting.printable(rows[index].label) or 'without a label'}, "
            + (
                f"answered {formatting.printable(decisions.named(answers[index], classes))}"
                if finite[index]
                else "not answered with numbers"
            )
            for index in np.flatnonzero(~right)[: self.show]
        ]
        if wrong:
            sentence += f": {'; '.join(wrong)}"
        numbers = {"share": share, "right": right.sum(), "examples": len(rows), "min_share": self.min_share}
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers))


def _labels(row: Example, data: Data) -> list[str]:
    """The class names of an example: one, or those that `BETWEEN` separates where texts have several."""
    if data.task != "multi-label" or row.label in data.classes:
        return [row.label]
    return [name for each in row.label.split(BETWEEN) if (name := each.strip())]


def read(path: Path, texts: tuple[str, ...], label: str) -> list[Example]:
    """The examples of a csv or jsonl file. Raises: DataError."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"the examples cannot be read: {error.strerror}", where=str(path), hint="Set path to an existing file."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start:,} is not UTF-8", where=str(path), hint="Save the file in UTF-8."
        ) from error
    rows = (_csv if path.suffix.lower() == ".csv" else _jsonl)(path, content, texts, label)
    if not rows:
        raise DataError("there are no examples", where=str(path), hint="Give at least one row.")
    return rows


def _csv(path: Path, content: str, texts: tuple[str, ...], label: str) -> list[Example]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    rows: list[Example] = []
    begins = 1
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_columns(f"{path}:1", (*texts, label), names)
        begins = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(names):
                raise DataError(
                    f"this row has {len(values)} columns, the header {len(names)}",
                    where=f"{path}:{begins}",
                    hint="Put texts with commas in double quotes.",
                )
            if values:
                row = {name: values[names.index(name)] for name in (*texts, label)}
                rows.append(Example(pairs.of_row(row, texts), row[label], begins))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"this row cannot be read: {error}", where=f"{path}:{begins}", hint='Write a quote inside quotes as "".'
        ) from error
    return rows


def _jsonl(path: Path, content: str, texts: tuple[str, ...], label: str) -> list[Example]:
    rows = []
    for line, written in enumerate(content.split("\n"), 1):
        if not written.strip():
            continue
        try:
            row = strict_json.parse(written)
        except ValueError as error:
            raise DataError(
                f"this line is no JSON: {error}", where=f"{path}:{line}", hint="Write one JSON object per line."
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                "this line is no JSON object", where=f"{path}:{line}", hint='Write {"text": "…", "label": "…"}.'
            )
        _check_columns(f"{path}:{line}", (*texts, label), list(row))
        if isinstance(row[label], list) and all(isinstance(each, str) for each in row[label]):
            row[label] = BETWEEN.join(row[label])
        if not all(isinstance(row[name], str) for name in texts) or isinstance(row[label], list | dict | float | None):
            raise DataError(
                "text and label must be strings", where=f"{path}:{line}", hint='Write {"text": "…", "label": "…"}.'
            )
        rows.append(Example(pairs.of_row(row, texts), str(row[label]), line))
    return rows


def _check_columns(where: str, names: Sequence[str], columns: Sequence[str]) -> None:
    for name in names:
        if name not in columns:
            raise DataError(
                f"there is no column {name!r}; the columns are {formatting.listing(columns, 20) or 'none'}",
                where=where,
                hint="Name the columns by the options text and label.",
            )
