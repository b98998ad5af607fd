"""Which task components have and know, which read pairs, and what of a recipe does not suit the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ftkit import options, pairs
from ftkit.contracts import Paired, PairReading, Task, Tasked, TaskKnowing, capable
from ftkit.contracts.settings import Search
from ftkit.contracts.space import BACKBONE
from ftkit.contracts.tasks import METRICS_OF, SINGLE_LABEL
from ftkit.plugins.calls import call

METRIC = "metric"
"""The option of a promotion test that names the metric to judge by."""


class Unsuited(NamedTuple):
    """What does not suit a task."""

    test: int | None
    """Which of the promotion tests, counted from 0; None for the search and the backbone."""
    key: tuple[str, ...]
    """Where the recipe says it: below the section of the test, if it is one."""
    what: str
    hint: str


def task_of(component: object) -> Task:
    """The task of a data set or classifier. Raises: VerbError."""
    return call(Tasked.task, component) if capable(component, Tasked) else SINGLE_LABEL


def known_tasks(component: object) -> tuple[Task, ...]:
    """The tasks that a backbone or promotion test knows. Raises: VerbError."""
    return call(TaskKnowing.tasks, component) if capable(component, TaskKnowing) else (SINGLE_LABEL,)


def text_fields(dataset: object) -> tuple[str, ...]:
    """The names of the texts of a data set's rows. Raises: VerbError."""
    return tuple(call(Paired.text_fields, dataset)) if capable(dataset, Paired) else pairs.TEXT


def reads_pairs(backbone: object) -> bool:
    """Whether a backbone reads pairs of texts. Raises: VerbError."""
    return bool(call(PairReading.reads_pairs, backbone)) if capable(backbone, PairReading) else False


def unsuited(
    task: Task,
    backbones: Sequence[Any],
    search: Search,
    tests: Sequence[Any],
    fields: Sequence[str] = pairs.TEXT,
) -> Iterator[Unsuited]:
    """What of a recipe does not suit data of this task, or with these texts in a row; what could not be made is None.

    Raises: VerbError.
    """
    for backbone in backbones:
        if backbone is not None and len(fields) > 1 and not reads_pairs(backbone):
            what = f"the backbone {backbone.name!r} reads one text, and the rows are pairs of {' and '.join(fields)}"
            key = ("search", "space", BACKBONE) if BACKBONE in search.space else ("backbone", "use")
            yield Unsuited(None, key, what, 'Use another backbone, or make them one text: join = "lines".')
        if backbone is not None and task not in (known := known_tasks(backbone)):
            what = f"the backbone {backbone.name!r} cannot learn {task} data; it knows {' and '.join(known)}"
            key = ("search", "space", BACKBONE) if BACKBONE in search.space else ("backbone", "use")
            yield Unsuited(None, key, what, "Use another backbone; `ftkit plugins` lists them.")
    if what := _no_metric(task, search.metric):
        yield Unsuited(None, ("search", METRIC), what, _metrics(task))
    for number, test in enumerate(tests):
        if test is None:
            continue
        if task not in (known := known_tasks(test)):
            what = f"the promotion test {test.name!r} cannot judge {task} data; it knows {' and '.join(known)}"
            yield Unsuited(number, ("use",), what, "Leave it out.")
        metric = options.to_table(test).get(METRIC)
        if isinstance(metric, str) and (what := _no_metric(task, metric)):
            yield Unsuited(number, (METRIC,), f"{what} ({test.name})", _metrics(task))


def _no_metric(task: Task, metric: str) -> str:
    """Why a metric is none of a task; empty if it is, and for what is no metric of ftkit."""
    others = [each for each, names in METRICS_OF.items() if metric in names]
    if not others or task in others:
        return ""
    return f"{metric!r} is no metric of {task} data, but of {' and '.join(others)} data"


def _metrics(task: Task) -> str:
    return f"The metrics of {task} data are {', '.join(METRICS_OF[task])}."
