"""Holds a model to its data: it has their classes in their order, and answers every text by probabilities of these classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftkit.contracts import Task
from ftkit.formatting import beginning
from ftkit.plugins.tasks import task_of

TOLERANCE = 0.01
"""How far the probabilities of a text may be from a sum of one: models of low precision give them as well."""


def wrong_classifier(
    classifier: Any, classes: Sequence[str], verbs: Sequence[str] = ("probabilities",), task: Task = "single-label"
) -> str:
    """What is wrong with what should be a classifier of these classes, as the end of a sentence; empty if nothing is."""
    missing = [verb for verb in verbs if not callable(getattr(classifier, verb, None))]
    if missing:
        return f"{type(classifier).__name__} without {' and '.join(missing)}, which is no classifier"
    own = getattr(classifier, "classes", None)
    if not isinstance(own, list | tuple):
        return "a classifier without `classes`"
    if not all(isinstance(each, str) for each in own):
        return f"a classifier whose classes are no names: {_listed(own)}"
    if list(own) == list(classes):
        known = task_of(classifier)
        return "" if known == task else f"a classifier of the task {known}, not {task}"
    if len(own) == len(classes) and set(own) == set(classes):
        return f"a classifier with its classes in another order: {_listed(own)}, not {_listed(classes)}"
    lost = [each for each in classes if each not in own]
    new = [each for each in own if each not in classes]
    parts = [f"without {_listed(lost)}"] * bool(lost) + [f"with {_listed(new)}"] * bool(new)
    return f"a classifier of other classes than those it was trained on: {' and '.join(parts) or 'one is there twice'}"


def wrong_probabilities(answers: Any, rows: int, classes: int, task: Task = "single-label") -> str:
    """What is wrong with a model's answers to so many texts, as the end of a sentence; empty if nothing is."""
    import numpy as np

    try:
        probabilities = np.asarray(answers)
        finite = bool(np.isfinite(probabilities).all())
    except Exception:  # of whatever a plugin gives
        return f"{type(answers).__name__}, which is no array of numbers"
    if not rows:
        return ""
    if probabilities.shape != (rows, classes):
        return f"an array of shape {probabilities.shape}, not {(rows, classes)}: a row for each text, a column for each class"
    if not finite:
        return "numbers that are NaN or infinite"
    if task == "multi-label":
        if probabilities.min() < -TOLERANCE or probabilities.max() > 1 + TOLERANCE:
            row = probabilities[int(np.abs(probabilities - 0.5).max(axis=1).argmax())]
            return f"numbers that are no probabilities, such as {_numbers(row)}: they are from 0 to 1"
        return ""
    off = np.abs(probabilities.sum(axis=1) - 1)
    if probabilities.min() < -TOLERANCE or off.max() > TOLERANCE:
        row = probabilities[int(off.argmax() if off.max() > TOLERANCE else probabilities.min(axis=1).argmin())]
        return f"numbers that are no probabilities, such as {_numbers(row)}: they are from 0 to 1 and sum to 1 for every text"
    return ""


def _numbers(row: Any) -> str:
    return ", ".join(f"{each:.3g}" for each in row[:5]) + (", …" if len(row) > 5 else "")


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(beginning(repr(each), 40) for each in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
