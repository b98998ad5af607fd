"""A contender as promotion tests need it: its labels, its answers to any text, and whether it can be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftkit.contracts import AnswerRule, Contender, Data, Task
from ftkit.contracts.deciding import answer_rule
from ftkit.data.class_names import NotOneLabel, class_name, same_class, shown_name
from ftkit.evaluation import answer_rules, decisions
from ftkit.evaluation.answer_rules import Decided
from ftkit.formatting import count, listing
from ftkit.plugins.tasks import task_of

if TYPE_CHECKING:
    import numpy as np


def labels_of(contender: Contender) -> np.ndarray:
    """Class indices of the test rows, (rows,); of multi-label rows 0 and 1, (rows, classes)."""
    data = contender.data
    return decisions.targets(data.test.labels, len(data.classes), data.task)


def rule_for(manifest: Mapping[str, Any], data: Data) -> AnswerRule | None:
    """The rule of a bundle with this manifest, by the names that the data has for its classes; None where it has none."""
    if "decision" not in manifest:
        return None
    rule, classes = answer_rule(manifest["decision"]), manifest["classes"]
    names = {old: new for new, old in class_sources(classes, data.classes).items()}
    return replace(rule, thresholds={names.get(name, name): value for name, value in rule.thresholds.items()})


def decided(contender: Contender) -> Decided:
    """Its answers to the test rows, by the rule of its bundle."""
    data = contender.data
    return answer_rules.decide(contender.probabilities, data.classes, data.task, contender.rule)


def metric_probabilities(metric: str, contender: Contender) -> np.ndarray:
    """The probabilities, (rows, classes), by which a metric measures its answers: see `answer_rules.for_metric`."""
    data = contender.data
    return answer_rules.for_metric(metric, contender.probabilities, data.classes, data.task, contender.rule)


def defect(contender: Contender) -> str:
    """Why no metric of this contender can be computed; empty when it can."""
    import numpy as np

    if not len(contender.data.test):
        return "the test split has no rows"
    if not np.isfinite(contender.probabilities).all():  # the class with the first NaN would win every argmax
        return f"{contender.title} gave probabilities that are not finite numbers"
    return ""


@dataclass(frozen=True)
class Matched:
    """Candidate and champion on the test rows whose class both know; multi-label rows are all there."""

    candidate: Contender
    champion: Contender
    classes: tuple[int, ...]
    """Indices of the classes that both know and that have test rows: F1 of no other class can be compared.

    Of multi-label data all labels that both know: whether an answer gives one is a decision on any row.
    """
    rows: np.ndarray
    """Indices of these rows in the whole test split."""
    note: str = ""
    """What is left out, to be put at the end of a sentence; empty where both know all classes."""


def matched(candidate: Contender, champion: Contender) -> Matched:
    """Candidate and champion on the rows whose class both know; of the candidate's probabilities none is changed.

    An answer of the candidate that is a class new to the champion is wrong on these rows. Of multi-label data all rows are
    compared, by the labels that both know.
    """
    import numpy as np

    data, labels = candidate.data, labels_of(candidate)
    sources = class_sources(champion.classifier.classes, data.classes)
    known = tuple(index for index, name in enumerate(data.classes) if name in sources)
    new = [name for name in data.classes if name not in sources]
    if labels.ndim == 2:
        left_out = f"the label{'s' * (len(new) > 1)} {listing(map(shown_name, new), 10)}"
        note = f"; without {left_out}, new since {champion.title}: only what both know is compared" if new else ""
        return Matched(candidate, champion, known, np.arange(len(labels)), note)
    compared = tuple(index for index in known if (labels == index).any())
    if len(known) == len(data.classes):
        return Matched(candidate, champion, compared, np.arange(len(labels)))
    rows = np.flatnonzero(np.isin(labels, known))
    test = replace(
        data.test,
        texts=[data.test.texts[row] for row in rows],
        labels=[data.test.labels[row] for row in rows],
        columns={name: [values[row] for row in rows] for name, values in data.test.columns.items()},
    )
    fewer = replace(data, test=test)
    left_out = count(len(labels) - len(rows), "row")
    note = f"; without {left_out} of {_named(new)}, new since {champion.title}: only what both know is compared"
    one, other = (replace(each, data=fewer, probabilities=each.probabilities[rows]) for each in (candidate, champion))
    return Matched(one, other, compared, rows, note)


def classes_without_rows(data: Data) -> list[str]:
    """The classes of which the test split has no row, so that nothing is known of them."""
    if data.task == "multi-label":
        present = {index for own in data.test.labels for index in own}
    else:
        present = {*data.test.labels}
    return [name for index, name in enumerate(data.classes) if index not in present]


def class_mismatch(champion: Contender) -> str:
    """Why the champion's task or classes do not allow a comparison; empty where the data has all of them.

    Classes that the data has besides are new, and no obstacle: see `matched`.
    """
    data_classes, model_classes = champion.data.classes, champion.classifier.classes
    if other := task_mismatch(champion):
        return other
    sources = class_sources(model_classes, data_classes)
    lost = [name for name in model_classes if name not in sources.values()]
    if not lost:
        return ""
    return (
        f"{champion.title} has {_named(lost)}, which the candidate lacks: it has the classes "
        f"{listing(map(shown_name, data_classes), 10)}"
    )


def task_mismatch(champion: Contender) -> str:
    """Why the champion's answers are none to the question of the data: one label where several are asked for, or the reverse."""
    own, asked = task_of(champion.classifier), champion.data.task
    several = "multi-label"
    return (
        f"{champion.title} answers {own} data, the candidate {asked} data"
        if (own == several) != (asked == several)
        else ""
    )


def class_sources(model_classes: Sequence[str], data_classes: Sequence[str]) -> dict[str, str]:
    """The model's name of each class of the data that it knows: the same name, or one that is surely the same class."""
    exact = {name: name for name in data_classes if name in model_classes}
    by_form: dict[str, str] = {}
    for name in model_classes:
        if name not in exact:
            by_form.setdefault(_form(name), name)
    same: Mapping[str, str] = {name: by_form[_form(name)] for name in data_classes if _form(name) in by_form}
    return {**same, **exact}


def _form(name: str) -> str:
    try:
        return same_class(class_name(name) or name)
    except NotOneLabel:
        return name


def _named(names: Sequence[str]) -> str:
    return f"the {'class' if len(names) == 1 else 'classes'} {listing(map(shown_name, names), 10)}"


def probabilities_of(contender: Contender, texts: Sequence[str]) -> np.ndarray:
    """Probabilities of any texts, (texts, classes), columns in the order of `data.classes`."""
    import numpy as np

    if not texts:
        return np.zeros((0, len(contender.data.classes)))
    probabilities = np.asarray(contender.classifier.probabilities(texts), dtype=np.float64)
    return align_classes(probabilities, contender.classifier.classes, contender.data.classes, contender.data.task)


def sample_rows(contender: Contender, count: int) -> list[int]:
    """Indices of test rows in an order drawn from the run's seed; all of them where there are fewer than `count`."""
    import numpy as np

    order = np.random.default_rng(contender.seed).permutation(len(contender.data.test))
    return [int(row) for row in order[:count]]


def align_classes(
    probabilities: np.ndarray,
    model_classes: Sequence[str],
    data_classes: Sequence[str],
    task: Task = "single-label",
) -> np.ndarray:
    """Probabilities with their columns in the order of the data's classes, matched by `class_sources`.

    A class that the model does not know gets 0; the probability of classes that the data lacks is shared out in proportion, unless
    the classes exclude no other.
    """
    import numpy as np

    if tuple(model_classes) == tuple(data_classes):
        return probabilities
    columns = np.zeros((len(probabilities), len(data_classes)))
    sources = class_sources(model_classes, data_classes)
    for index, name in enumerate(data_classes):
        if name in sources:
            columns[:, index] = probabilities[:, list(model_classes).index(sources[name])]
    if task == "multi-label":
        return columns
    totals = columns.sum(axis=1, keepdims=True)
    return np.where(totals > 0, columns / np.where(totals > 0, totals, 1), 1 / len(data_classes))
