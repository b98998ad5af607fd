"""Asking the server of a contender, and reading its answers with every fault named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import BundleError
from ftkit.formatting import printable, rounded
from ftkit.serving.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    from ftkit.serving.server_process import Answer, ServerProcess

ONE = 1e-3
"""How far probabilities may be from adding up to one."""


class Unsound(Exception):
    """An answer that is none, or the answer to something else; its text says in what."""


def asked(server: ServerProcess, texts: Sequence[str], classes: Sequence[str]) -> tuple[Answer, np.ndarray]:
    """The server's answer and its probabilities of texts, (texts, classes), columns in this order of the classes.

    Raises: Unsound; DeployError when the server died or hangs.
    """
    answer = server.invoke({"data": [{"text": text} for text in texts], "scores": True})
    return answer, read(answer, len(texts), classes)


def read(answer: Answer, rows: int, classes: Sequence[str]) -> np.ndarray:
    """Probabilities from an answer with scores, (rows, classes). Raises: Unsound."""
    import numpy as np

    if answer.refusal:
        raise Unsound(f"refused with {printable(answer.refusal)}")
    if not isinstance(answer.value, list) or len(answer.value) != rows:
        given = f"{len(answer.value)} answers" if isinstance(answer.value, list) else "no list of answers"
        raise Unsound(f"{given} to {rows} text{'s' * (rows != 1)}")
    found = np.empty((rows, len(classes)))
    for index, said in enumerate(answer.value):
        found[index] = _row(said, classes)
    return found


def fitting(texts: Sequence[str], limits: Limits) -> int:
    """How many texts, from the first on, go into one request."""
    size = 100  # what stands around them
    for number, text in enumerate(texts):
        size += len(json.dumps({"text": text})) + 2
        if size > limits.size or number == limits.rows:
            return number
    return len(texts)


def distance(largest: float) -> str:
    """How far probabilities are from those of the gate, for a sentence."""
    return f"at most {rounded(largest)} from the gate's" if largest else "exactly the gate's"


def sample_texts(bundle: Path) -> list[str]:
    """The texts of the bundle's sample request. Raises: BundleError."""
    path = bundle / "sample_request.json"
    try:
        return [str(row["text"]) for row in json.loads(path.read_text(encoding="utf-8"))["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError("the sample request cannot be read", str(path)) from error


def _row(said: Any, classes: Sequence[str]) -> list[float]:
    """The probabilities of one row, in the order of the classes. Raises: Unsound."""
    if not isinstance(said, Mapping) or not isinstance(said.get("scores"), Mapping):
        raise Unsound("an answer without scores")
    scores = said["scores"]
    if missing := [name for name in classes if name not in scores]:
        raise Unsound(f"no score for {printable(missing[0])!r}")
    if foreign := [name for name in scores if name not in classes]:
        raise Unsound(f"a score for {printable(foreign[0])!r}, which is no class")
    values = [scores[name] for name in classes]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise Unsound("probabilities that are no numbers")
    if min(values) < -ONE or abs(sum(values) - 1) > ONE:
        raise Unsound(f"probabilities that do not add up to one, but to {sum(values):.4g}")
    label = said.get("label")
    if not isinstance(label, str) or label not in scores:
        raise Unsound(f"the label {printable(str(label))!r}, which is no class")
    if scores[label] < max(values) - 1e-9:
        raise Unsound(f"the label {printable(label)!r}, which has not the highest score")
    return values
