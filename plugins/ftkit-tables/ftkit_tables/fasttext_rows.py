"""Rows of files with a label, a space and a text in each line, as fastText has them: `__label__spam Win a prize`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftkit.contracts import Emit
from ftkit_tables.columns import Wanted, missing_column
from ftkit_tables.encodings import MARK
from ftkit_tables.form import Damaged, Form, Record, counted, open_text

PREFIX = "__label__"
_LINE = re.compile(r"\s*((?:__label__\S+\s+)*__label__\S+)(?:\s+|$)")
_PLAIN_LINE = re.compile(r"\s*(\S+)(?:\s+|$)")


class FastText:
    """A file with the labels at the beginning of each line and the text after them."""

    def __init__(self, path: Path, encoding: str, wanted: Wanted, head: Sequence[str]) -> None:
        self._path, self._encoding, self._wanted = path, encoding, wanted
        self._line = _LINE if any(PREFIX in line for line in head) else _PLAIN_LINE
        names = (wanted.texts[0], *([] if wanted.label is None else [wanted.label]))
        if more := (*wanted.texts[1:], *wanted.indicators, *wanted.columns, *wanted.others):
            name = more[0]
            raise missing_column(
                path, name, names, "A file in the form of fastText has a label and one text in each line."
            )
        rows = [dict(zip(names, row, strict=True)) for row in map(self._row, head) if not isinstance(row, Damaged)]
        self.form = Form({"encoding": encoding.removesuffix("-sig")}, rows)

    def records(self, emit: Emit) -> Iterator[Record]:
        """The text and the label of every line; a list of labels where it has several. Raises: DataError."""
        with open_text(self._path, self._encoding, "\n") as (text, raw):
            rows = ((number, self._row(line)) for number, line in enumerate(text, 1) if not line.isspace())
            yield from counted(rows, self._path, raw, emit)

    def _row(self, line: str) -> Sequence[Any] | Damaged:
        if MARK in line:
            return Damaged(f"it has bytes that are not {self._encoding.removesuffix('-sig')}", undecodable=True)
        if not (match := self._line.match(line)):
            return Damaged(f"it does not begin with {PREFIX}")
        labels = [label.removeprefix(PREFIX) for label in match[1].split()]
        text = line[match.end() :].strip()
        return [text] if self._wanted.label is None else [text, labels[0] if len(labels) == 1 else labels]


def labelled_lines(lines: Sequence[str]) -> str:
    """A hint for lines that begin with so few different words that these are labels rather than texts; empty for others."""
    words = Counter(line.split(maxsplit=1)[0] for line in lines if not line.isspace())
    if not 1 < len(words) <= max(2, words.total() / 20):
        return ""
    first = words.most_common(1)[0][0]
    return f'Each line begins with one of {len(words):,} words, such as {first!r:.40}: if these are the labels, set format = "fasttext".'
