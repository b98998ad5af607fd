"""One number that makes a model's certainty honest: its logits are divided by it, and no answer changes.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files
from ftkit.errors import BundleError

if TYPE_CHECKING:
    import numpy as np

FILE = "temperature.json"

LOWEST, HIGHEST = 0.02, 50.0
"""Bounds of a fitted temperature: fifty times as sure, and fifty times less."""


def fit(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the lowest log loss on these rows, from `LOWEST` to `HIGHEST`; 1.0 where none is better.

    `logits` are (rows, classes). The rows weigh as if one more had every label in equal parts: rows that are all answered
    rightly would otherwise ask for certainty without bound, and a few rows for more than they can know.

    Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2, for the softened targets.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows, classes = logits.shape
    if not rows:
        return 1.0
    logits = np.asarray(logits, dtype=np.float64)
    softened = np.full((rows, classes), 1 / (classes * (rows + 1)))
    softened[np.arange(rows), np.asarray(labels, dtype=np.int64)] += rows / (rows + 1)  # (rows, classes)

    def loss(exponent: float) -> float:
        scaled = logits / math.exp(exponent)
        return float((logsumexp(scaled, axis=1) - (softened * scaled).sum(axis=1)).mean())

    # Convex in 1 / temperature, so there is one lowest point, which a search between the bounds cannot miss.
    found = minimize_scalar(
        loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(math.exp(found.x)) if math.isfinite(found.fun) and found.fun < loss(0.0) else 1.0


def save(temperature: float, folder: Path) -> None:
    """Write it beside the model, unless it changes nothing. Raises: OSError."""
    if temperature != 1.0:
        files.write_json(folder / FILE, {"temperature": temperature})


def load(folder: Path) -> float:
    """Read it back; 1.0 where there is none. Raises: BundleError for anything but a finite number above 0."""
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["temperature"]
        if isinstance(found, bool) or not isinstance(found, int | float) or not (0 < found < math.inf):
            raise ValueError(f"{found!r} is no finite number above 0")
        return float(found)
    except FileNotFoundError:
        return 1.0
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise BundleError(
            f"the temperature of the model cannot be used: {error}",
            where=str(path),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
