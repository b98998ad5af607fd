"""Parts of the test rows that are measured one by one: by class, by text length, by the values of a column."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Data
from ftkit.data.words import count_words
from ftkit.errors import DataError
from ftkit.evaluation import decisions
from ftkit.evaluation.metrics import TITLES
from ftkit.formatting import listing, printable

if TYPE_CHECKING:
    import numpy as np


LABEL = "label"
"""How the title of a group begins that is one label of multi-label rows."""


@dataclass(frozen=True)
class Group:
    """Some of the test rows, and what they have in common."""

    title: str
    rows: np.ndarray
    """Indices into the test split."""
    label: int | None = None
    """The class, where the rows are those of one class or with one label."""


def check_columns(names: Sequence[str], columns: Collection[str], where: str) -> None:
    """Raises: DataError for a name that is none of the columns; `where` names the option that holds the names."""
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            known = f"it has {listing(map(repr, columns), 20)}" if columns else "it has none besides text and label"
            suggestion = f"Did you mean {near[0]!r}? " if near else ""
            keep = f'Let the data set keep it (`table` does by columns = ["{name}"]), or take it out of columns.'
            raise DataError(f"the data set has no column {name!r}; {known}", where, suggestion + keep)


def groups(data: Data, classes: bool, lengths: int, columns: Sequence[str] | None, max_values: int) -> list[Group]:
    """The groups of the test rows by class, by length in bands, and by the values of columns.

    Without `columns` every column with at most `max_values` values counts. Raises: KeyError for a column that is not there.
    """
    by_class = [*_by_class(data)] if classes else []
    by_length = [*_by_length(data, lengths)] if lengths and len(data.test) else []
    by_value: list[Group] = []
    for name in data.test.columns if columns is None else columns:
        values = [_value(each) for each in data.test.columns[name]]
        if columns is not None or len(set(values)) <= max_values:
            by_value += _by_value(printable(name), values)
    return [*by_class, *by_length, *by_value]


def metric_inputs(
    metric: str, group: Group, probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """Probabilities, labels and metric for measuring a group; `probabilities` and `labels` are those of all test rows.

    The rows of one class are measured by their recall; for roc_auc by how well that class is ranked above the others, which
    needs the other rows too. So does a label of multi-label rows: it is measured by the decisions on it in all rows.
    """
    import numpy as np

    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if group.label is not None and labels.ndim == 2:
        column, used = [group.label], "macro_f1" if metric.endswith("_f1") else metric
        return probabilities[:, column], labels[:, column], used
    if group.label is not None and metric == "roc_auc":
        own = probabilities[:, group.label]
        return np.stack([1 - own, own], axis=1), (labels == group.label).astype(np.int64), metric
    probabilities, labels = probabilities[group.rows], labels[group.rows]
    if (
        metric in ("macro_f1", "weighted_f1", "mcc", "quadratic_kappa")
        and labels.ndim == 1
        and len(np.unique(labels)) < 2
    ):
        return probabilities, labels, "accuracy"  # on rows of one class these metrics say no more than the recall
    return probabilities, labels, metric


def _by_class(data: Data) -> Iterator[Group]:
    import numpy as np

    labels = decisions.targets(data.test.labels, len(data.classes), data.task)
    for index, name in enumerate(data.classes):
        if len(rows := np.flatnonzero(labels == index if labels.ndim == 1 else labels[:, index])):
            yield Group(f"{'class' if labels.ndim == 1 else LABEL} {printable(name)}", rows, index)


def measured_by(title: str, metric: str) -> str:
    """What the value of a group is called, which has this title and was measured by this metric."""
    if metric == "accuracy" and title.startswith("class "):
        return "recall"
    if title.startswith(f"{LABEL} "):  # a mean over one label is no mean
        return {"macro_f1": "F1", "map": "average precision", "subset_accuracy": "accuracy"}.get(metric, TITLES[metric])
    return TITLES[metric]


def _by_length(data: Data, bands: int) -> Iterator[Group]:
    """Bands between quantiles of the number of words; fewer bands where many texts have the same length."""
    import numpy as np

    words = np.array([count_words(text) for text in data.test.texts])
    edges = np.unique(np.quantile(words, np.linspace(0, 1, bands + 1)[1:], method="inverted_cdf"))
    band_of_row = np.searchsorted(edges, words)  # the first edge that is not exceeded
    for band in np.unique(band_of_row):
        rows = np.flatnonzero(band_of_row == band)
        low, high = int(words[rows].min()), int(words[rows].max())
        yield Group(f"{low} to {high} words" if low < high else f"{low} words", rows)


def _by_value(name: str, values: Sequence[str]) -> Iterator[Group]:
    import numpy as np

    column = np.array(values, dtype=object)
    for value in sorted(set(values), key=lambda each: (len(each), each) if each.isdigit() else (99, each)):
        yield Group(f"{name} {value[:40]}", np.flatnonzero(column == value))


def _value(value: Any) -> str:
    """A column's value as the name of a group; missing values are a group too."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return printable(str(value)) or "empty"
