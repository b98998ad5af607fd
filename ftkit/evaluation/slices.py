"""The parts of the test rows that are looked at one by one: by class, by text length, by a further column."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Data
from ftkit.errors import DataError
from ftkit.formatting import printable

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Group:
    """Some of the test rows, and what they have in common."""

    title: str
    rows: np.ndarray
    """Indices into the test split."""
    label: int | None = None
    """The class, where the rows are those of one class."""


def groups(data: Data, classes: bool, lengths: int, columns: Sequence[str] | None, max_values: int) -> list[Group]:
    """All groups of the test rows; columns left out are those with few values. Raises: DataError for a named column that is not there."""
    found = [*_by_class(data)] if classes else []
    if lengths and len(data.test):
        found += _by_length(data, lengths)
    there = data.test.columns
    for name in columns if columns is not None else there:
        if name not in there:
            near = difflib.get_close_matches(name, list(there), 1)
            raise DataError(
                f"the data set carries no column {name!r}",
                where="columns",
                hint=f"Did you mean {near[0]!r}?"
                if near
                else f"It carries {', '.join(map(repr, there)) or 'none'}; data sets that read tables keep more by columns.",
            )
        values = [_value(each) for each in there[name]]
        if columns is None and len(set(values)) > max_values:
            continue
        found += _by_value(printable(name), values)
    return found


def metric_inputs(
    metric: str, group: Group, probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """Probabilities, labels and the metric that measures a group, of those of all test rows.

    The rows of one class are measured by the share that is recognised; for roc_auc by how well that class is told apart
    from the rest, for which the other rows are needed too.
    """
    import numpy as np

    found, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if group.label is not None and metric == "roc_auc":
        own = found[:, group.label]
        return np.stack([1 - own, own], axis=1), (labels == group.label).astype(np.int64), metric
    found, labels = found[group.rows], labels[group.rows]
    if metric in ("macro_f1", "weighted_f1", "mcc") and len(np.unique(labels)) < 2:
        return found, labels, "accuracy"  # among rows of one class there is nothing else to get wrong
    return found, labels, metric


def _by_class(data: Data) -> Iterator[Group]:
    import numpy as np

    labels = np.asarray(data.test.labels, dtype=np.int64)
    for index, name in enumerate(data.classes):
        if len(rows := np.flatnonzero(labels == index)):
            yield Group(f"class {printable(name)}", rows, index)


def _by_length(data: Data, bands: int) -> Iterator[Group]:
    """Bands between quantiles of the number of words; where many texts have one length, there are fewer bands."""
    import numpy as np

    words = np.array([len(text.split()) for text in data.test.texts])
    edges = np.unique(np.quantile(words, np.linspace(0, 1, bands + 1)[1:], method="inverted_cdf"))
    placed = np.searchsorted(edges, words)  # the first edge that is not exceeded
    for band in np.unique(placed):
        rows = np.flatnonzero(placed == band)
        low, high = int(words[rows].min()), int(words[rows].max())
        yield Group(f"{low} to {high} words" if low < high else f"{low} words", rows)


def _by_value(name: str, values: Sequence[str]) -> Iterator[Group]:
    import numpy as np

    column = np.array(values, dtype=object)
    for value in sorted(set(values), key=lambda each: (len(each), each) if each.isdigit() else (99, each)):
        yield Group(f"{name} {value[:40]}", np.flatnonzero(column == value))


def _value(value: Any) -> str:
    """A column's value as the name of a group; what is missing makes a group, too."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return printable(str(value)) or "empty"
