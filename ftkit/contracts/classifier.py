"""The interface of a trained model: texts in, class probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Probabilities = np.ndarray
else:  # the annotations that name it resolve without loading numpy
    Probabilities = Annotated[Any, "class probabilities, a numpy array of float, (rows, classes)"]
"""Class probabilities, float, (rows, classes); every row sums to one, except with the task `multi-label`: there each is that of one label."""


class Classifier(Protocol):
    """A trained model: texts in, class probabilities out. It says its task as `ftkit.contracts.Tasked` does, unless that is `single-label`."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the probabilities: those of the data it was trained on."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (rows, classes), in the order of the texts; works for any text, also an empty one."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `Backbone.load` needs into an empty folder: safetensors and text, never a pickle."""
        ...
