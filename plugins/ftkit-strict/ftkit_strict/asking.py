"""Asking a contender about texts that are not in the test split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.contracts import Contender

if TYPE_CHECKING:
    import numpy as np


def answers(contender: Contender, texts: Sequence[str]) -> np.ndarray:
    """Probabilities of texts, (texts, classes), columns in the order of `data.classes`."""
    import numpy as np

    from ftkit.evaluation.contenders import align_classes

    if not texts:
        return np.zeros((0, len(contender.data.classes)))
    found = np.asarray(contender.classifier.probabilities(texts), dtype=np.float64)
    return align_classes(found, contender.classifier.classes, contender.data.classes)


def sample(contender: Contender, rows: int) -> list[int]:
    """Indices of test rows in an order that the run's seed decides; all of them where there are fewer than `rows`."""
    import numpy as np

    order = np.random.default_rng(contender.seed).permutation(len(contender.data.test))
    return [int(row) for row in order[:rows]]
