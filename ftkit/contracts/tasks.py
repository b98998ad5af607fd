"""Who has a task, who knows which tasks, and by which metrics each task is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from ftkit.contracts.settings import Metric
from ftkit.contracts.types import Task

SINGLE_LABEL: Task = "single-label"
"""The task of what declares none."""

METRICS_OF: Mapping[Task, tuple[Metric, ...]] = {
    "single-label": ("accuracy", "macro_f1", "weighted_f1", "roc_auc", "mcc", "log_loss"),
    "multi-label": ("micro_f1", "macro_f1", "samples_f1", "map", "subset_accuracy", "log_loss"),
    "ordinal": ("accuracy", "macro_f1", "weighted_f1", "roc_auc", "mcc", "log_loss", "quadratic_kappa", "mae"),
}
"""The metrics that are defined for each task."""

DEFAULT_METRICS: Mapping[Task, Metric] = {
    "single-label": "macro_f1",
    "multi-label": "micro_f1",
    "ordinal": "quadratic_kappa",
}
"""The metric of a search whose recipe names none and whose data set says its task."""


@runtime_checkable
class Tasked(Protocol):
    """A data set or classifier that says what is asked of a text; one that does not is of the task `single-label`.

    What does not suit the task of the data set is refused when the recipe is loaded, else as soon as the data are there.
    """

    @property
    def task(self) -> Task:
        """The task: of a data set a field, of a classifier an attribute."""
        ...


@runtime_checkable
class TaskKnowing(Protocol):
    """A backbone or promotion test that declares which tasks it knows; one that does not knows `single-label` alone."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """These tasks: an attribute of the class. A recipe with any other task is refused."""
        ...


@runtime_checkable
class Paired(Protocol):
    """A data set that says which texts a row has; the rows of one that does not have one text.

    What cannot read two is refused when the recipe is loaded, else as soon as the data are there.
    """

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The names of the texts: `("text",)`, or two where rows are pairs of `ftkit.pairs`."""
        ...


@runtime_checkable
class PairReading(Protocol):
    """A backbone that declares whether it reads pairs of texts; one that does not reads single texts alone."""

    @property
    def reads_pairs(self) -> bool:
        """Whether it does: an attribute of the class. Else a recipe with pairs is refused."""
        ...
