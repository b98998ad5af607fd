"""Calibrates a model by one number that its logits are divided by: certainty changes, answers do not.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files, strict_json
from ftkit.errors import BundleError

if TYPE_CHECKING:
    import numpy as np

FILE = "temperature.json"

LOWEST, HIGHEST = 0.02, 50.0
"""Bounds of a fitted temperature: logits fifty times as large, and fifty times smaller."""


def fit(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the lowest log loss on these rows, from `LOWEST` to `HIGHEST`; 1.0 where none is better.

    `logits` are (rows, classes), `labels` class indices, (rows,), or for several labels 0 and 1, (rows, classes). The labels are
    softened as if there were one more row with every label in equal parts. Otherwise rows that are all answered correctly would
    call for unlimited certainty, and a few rows for more than they can justify.

    Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2, for the softened targets.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows, classes = logits.shape
    if not rows:
        return 1.0
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if labels.ndim == 2:  # each decision is one between two classes, whose logits are 0 and that of the label
        logits, labels = np.stack([np.zeros(logits.size), logits.ravel()], axis=1), labels.ravel()
        rows, classes = logits.shape
    softened = np.full((rows, classes), 1 / (classes * (rows + 1)))
    softened[np.arange(rows), labels] += rows / (rows + 1)  # (rows, classes)

    def loss(exponent: float) -> float:
        scaled = logits / math.exp(exponent)
        return float((logsumexp(scaled, axis=1) - (softened * scaled).sum(axis=1)).mean())

    # Convex in 1 / temperature: there is one minimum, which a search between the bounds cannot miss.
    minimum = minimize_scalar(
        loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(math.exp(minimum.x)) if math.isfinite(minimum.fun) and minimum.fun < loss(0.0) else 1.0


def save(temperature: float, folder: Path) -> None:
    """Write the temperature beside the model, unless it changes nothing. Raises: OSError."""
    if temperature != 1.0:
        files.write_json(folder / FILE, {"temperature": temperature})


def load(folder: Path) -> float:
    """The temperature of a saved model, 1.0 if it has none. Raises: BundleError unless it is finite and above 0."""
    path = folder / FILE
    try:
        value = strict_json.read_object(path)["temperature"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
            raise ValueError(f"{value!r} is no finite number above 0")
        return float(value)
    except FileNotFoundError:
        return 1.0
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise BundleError(
            f"the temperature of the model cannot be used: {error}",
            where=str(path),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
