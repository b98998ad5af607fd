"""Answers of a contender's server: requests with scores, and what makes an answer invalid."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import pairs, strict_json
from ftkit.contracts import AnswerRule, Task
from ftkit.errors import BundleError
from ftkit.evaluation import answer_rules
from ftkit.formatting import count, printable, rounded
from ftkit.serving.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    from ftkit.serving.server_process import Answer, ServerProcess

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a row may be from adding up to one."""


class InvalidAnswer(Exception):
    """An answer that breaks the contract of the server; the message names the fault."""


def request_scores(
    server: ServerProcess,
    texts: Sequence[str],
    classes: Sequence[str],
    task: Task = "single-label",
    rule: AnswerRule | None = None,
    fields: Sequence[str] = pairs.TEXT,
) -> tuple[Answer, np.ndarray]:
    """The server's answer and its probabilities of the texts, (texts, classes), columns in the order of `classes`.

    `fields` are the names of the texts of a row.

    Raises: InvalidAnswer; DeployError when the server died or hangs.
    """
    answer = server.invoke({"data": rows_of(texts, fields), "scores": True})
    return answer, read_scores(answer, len(texts), classes, task, rule)


def read_scores(
    answer: Answer, rows: int, classes: Sequence[str], task: Task = "single-label", rule: AnswerRule | None = None
) -> np.ndarray:
    """Probabilities from an answer with scores, (rows, classes). Raises: InvalidAnswer."""
    import numpy as np

    if answer.refusal:
        raise InvalidAnswer(f"refused with {printable(answer.refusal)}")
    if not isinstance(answer.value, list) or len(answer.value) != rows:
        answers = count(len(answer.value), "answer") if isinstance(answer.value, list) else "no list of answers"
        raise InvalidAnswer(f"{answers} to {count(rows, 'text')}")
    probabilities = np.empty((rows, len(classes)))
    for index, row in enumerate(answer.value):
        probabilities[index] = _row(row, classes, task, rule)
    return probabilities


def rows_of(texts: Sequence[str], fields: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a request with these texts."""
    return [pairs.as_row(text, fields) for text in texts]


def texts_that_fit(texts: Sequence[str], limits: Limits, fields: Sequence[str] = pairs.TEXT) -> int:
    """How many of the texts, from the first on, one request may hold."""
    size = 100  # the JSON around the texts
    for number, text in enumerate(texts):
        size += len(json.dumps(pairs.as_row(text, fields))) + 2
        if size > limits.size or number == limits.rows:
            return number
    return len(texts)


def distance_from_gate(largest: float) -> str:
    """How far probabilities are from those that the gate computed, in a sentence."""
    return f"at most {rounded(largest)} from the gate's" if largest else "equal to the gate's"


def sample_texts(bundle: Path, fields: Sequence[str] = pairs.TEXT) -> list[str]:
    """The texts of the bundle's sample request. Raises: BundleError."""
    path = bundle / "sample_request.json"
    try:
        return [str(pairs.of_row(row, fields)) for row in strict_json.read_object(path)["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError("the sample request cannot be read", str(path)) from error


def _row(answer: Any, classes: Sequence[str], task: Task, rule: AnswerRule | None) -> list[float]:
    """The probabilities of one row, in the order of the classes. Raises: InvalidAnswer."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("scores"), Mapping):
        raise InvalidAnswer("an answer without scores")
    scores = answer["scores"]
    if missing := [name for name in classes if name not in scores]:
        raise InvalidAnswer(f"no score for {printable(missing[0])!r}")
    if unknown := [name for name in scores if name not in classes]:
        raise InvalidAnswer(f"a score for {printable(unknown[0])!r}, which is no class")
    values = [scores[name] for name in classes]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise InvalidAnswer("probabilities that are not finite numbers")
    if task == "multi-label":
        if min(values) < 0 or max(values) > 1:
            raise InvalidAnswer("a probability that is not from 0 to 1")
        _check_label(answer.get("label"), values, classes, task, rule)
        return values
    if min(values) < -SUM_TOLERANCE or abs(sum(values) - 1) > SUM_TOLERANCE:
        raise InvalidAnswer(f"probabilities that do not add up to one, but to {sum(values):.4g}")
    label = answer.get("label")
    if rule is not None:
        _check_label(label, values, classes, task, rule)
        return values
    if not isinstance(label, str) or label not in scores:
        raise InvalidAnswer(f"the label {printable(str(label))!r}, which is no class")
    if scores[label] < max(values) - 1e-9:
        raise InvalidAnswer(f"the label {printable(label)!r}, which does not have the highest score")
    return values


def _check_label(
    label: Any, values: Sequence[float], classes: Sequence[str], task: Task, rule: AnswerRule | None
) -> None:
    """Raises: InvalidAnswer unless this is the answer that the scores give, a label or a list of them."""
    import numpy as np

    given = answer_rules.decide(np.array([values]), classes, task, rule).labels[0]
    if label != given:
        noun = "labels" if task == "multi-label" else "label"
        raise InvalidAnswer(f"the {noun} {printable(str(label))!r}, where the scores give {printable(str(given))!r}")
