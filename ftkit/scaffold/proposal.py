"""What a recipe for a table should say: task, lengths, backbone and floor, each with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftkit import options, plugins
from ftkit.contracts import Task
from ftkit.contracts.settings import Metric
from ftkit.contracts.tasks import DEFAULT_METRICS
from ftkit.errors import UsageError
from ftkit.scaffold.columns import Column, Table

BACKBONES = ("minilm", "linear")
"""Backbones to begin with, the better one first: both come with all that they need."""

ENOUGH = 50
"""Rows a class, on average, from which on fine-tuning an encoder is worth its time."""

ENGLISH = 0.02
"""Share of letters beyond ASCII up to which texts are taken for English, which is what `minilm` knows."""

SPACES: Mapping[str, str] = {
    "linear": "C = [1.0, 4.0, 16.0]",
    "minilm": "learning_rate = [1e-4, 2e-4, 3e-4]",
}
"""What to search of a backbone."""

LENGTHS = (64, 96, 128, 192, 256)
"""Tokens that are worth to choose from; the time of a training rises with them."""

TOKENS = 1.4
"""Tokens of a word, of English and a little more for names and numbers."""


@dataclass(frozen=True)
class Proposal:
    """The choices for a recipe."""

    name: str
    dataset: str
    table: Table
    texts: Sequence[str]
    label: str
    task: Task
    metric: Metric
    backbone: str
    because: str
    """Why this backbone."""
    max_length: int | None
    """Tokens to read of a text; None where the backbone reads all."""
    floor: float
    baseline: float
    """What always answering the most frequent label reaches, by the metric."""
    deploy: str
    """The target; `none` for no deployment."""

    @property
    def labels(self) -> Column:
        """The column with the labels."""
        return self.table.columns[self.label]

    @property
    def lengths(self) -> tuple[int, int]:
        """Words of a text: of half of the texts at most, and of all but one in twenty."""
        return words_of([self.table.columns[name] for name in self.texts])


def propose(dataset: str, table: Table, texts: Sequence[str], label: str, target: str) -> Proposal:
    """The choices for a table with these columns. Raises: UsageError for columns or a target that cannot be."""
    columns = [table.column(name, "the texts") for name in texts]
    labels = table.column(label, "the labels")
    if label in texts:
        raise UsageError(f"the column {label!r} cannot be both text and label", where=str(table.path))
    if empty := [each.name for each in columns if not each.words]:
        raise UsageError(f"the column {empty[0]!r} has no texts", where=str(table.path), hint="Name another: --text.")
    if len(labels.counts) < 2:
        what = f"the column {label!r} has {'only one label' if labels.counts else 'no labels'}"
        raise UsageError(what, where=str(table.path), hint="Name a column with two values or more: --label COLUMN.")
    if len(labels.counts) > len(labels.labels) / 2:
        what = f"most rows have a label of their own in the column {label!r}: {len(labels.counts):,} labels"
        raise UsageError(what, where=str(table.path), hint="Labels are few values, each in many rows: --label COLUMN.")
    task = labels.task
    backbone, because = _backbone(columns, labels)
    baseline = _baseline(labels)
    return Proposal(
        name=_name(table.path.name),
        dataset=dataset,
        table=table,
        texts=texts,
        label=label,
        task=task,
        metric=DEFAULT_METRICS[task],
        backbone=backbone,
        because=because,
        max_length=_max_length(backbone, columns),
        floor=math.floor((baseline + 1) / 2 * 20) / 20,
        baseline=baseline,
        deploy=_checked_target(target),
    )


def targets() -> list[str]:
    """The deployment targets to choose from, the likeliest first."""
    return sorted([*plugins.load().names("deployers"), "none"], key=lambda name: (name != "local", name == "none"))


def words_of(columns: Sequence[Column]) -> tuple[int, int]:
    """The median and the 95th percentile of the length in words, of texts of several columns together at most."""
    quantiles = [[each.words[int(share * (len(each.words) - 1))] for each in columns] for share in (0.5, 0.95)]
    return sum(quantiles[0]), sum(quantiles[1])


def _checked_target(target: str) -> str:
    """Raises: UsageError for a target that is not installed."""
    if target not in targets():
        hint = f"{plugins.load().advice('deployers', target)} `--target none` deploys nothing."
        raise UsageError(f"no deployment target {target!r} is installed", hint=hint)
    return target


def _backbone(columns: Sequence[Column], labels: Column) -> tuple[str, str]:
    """The backbone to begin with, and why. Raises: UsageError where none is installed."""
    installed = plugins.load().names("backbones")
    rows_a_class = len(labels.labels) / len(labels.counts)
    beyond = _beyond_ascii(columns)
    if "linear" in installed and beyond > ENGLISH:
        return "linear", "it learns from texts in any language"
    if "linear" in installed and rows_a_class < ENOUGH:
        return "linear", f"with {rows_a_class:.0f} rows a class, a larger model has little to learn from"
    for name in BACKBONES:
        if name in installed:
            return name, "it comes with its weights" if name == "minilm" else "it is fitted in seconds"
    if not installed:
        raise UsageError("no backbone is installed", hint=plugins.load().advice("backbones", "linear"))
    return installed[0], "it is the one that is installed"


def _beyond_ascii(columns: Sequence[Column]) -> float:
    """The share of letters that English does not have, in the first texts."""
    texts = "".join(value for each in columns for value in each.values[:1000] if isinstance(value, str))
    letters = [each for each in texts[:200_000] if each.isalpha()]
    return sum(not each.isascii() for each in letters) / max(len(letters), 1)


def _max_length(backbone: str, columns: Sequence[Column]) -> int | None:
    """Tokens by which 95 % of the texts are read whole."""
    if "max_length" not in options.names(plugins.load().find("backbones", backbone)):
        return None
    needed = words_of(columns)[1] * TOKENS + 2
    return next((length for length in LENGTHS if length >= needed), LENGTHS[-1])


def _baseline(labels: Column) -> float:
    """What always answering the most frequent label reaches by the task's own metric."""
    most, rows, classes = next(iter(labels.counts.values())), len(labels.labels), len(labels.counts)
    if labels.task == "multi-label":
        return 2 * most / (rows + sum(labels.counts.values()))  # micro F1
    if labels.task == "ordinal":
        return 0.0  # kappa
    return 2 * most / (rows + most) / classes  # macro F1


def _name(file: str) -> str:
    """A name for recipe, model and endpoint, made of that of the file."""
    name = re.sub(r"[^a-z0-9]+", "-", file.partition(".")[0].lower()).strip("-")
    return name[:40].strip("-") or "texts"
