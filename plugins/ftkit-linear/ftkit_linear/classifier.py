"""A fitted linear model that answers texts: n-grams, a sparse product, and a softmax, or a sigmoid for each label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.errors import BundleError
from ftkit_linear.ngrams import Ngrams

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities, Task

WEIGHTS, DESCRIPTION = "weights.npz", "linear.json"


@dataclass
class LinearClassifier:
    """Computes class probabilities of texts. Threads may share it: nothing in it changes while it answers."""

    classes: tuple[str, ...]
    ngrams: tuple[Ngrams, ...]
    coefficients: np.ndarray  # (terms of all n-grams, classes), fp32
    intercepts: np.ndarray  # (classes,)
    task: Task

    @cached_property
    def _read(self) -> Any:
        return reader(self.ngrams)

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), float64; a text without any known n-gram is answered by the intercepts."""
        import numpy as np
        from scipy.special import expit, softmax

        if not len(texts):
            return np.zeros((0, len(self.classes)))
        logits = np.asarray(self._read(texts) @ self.coefficients, dtype=np.float64) + self.intercepts
        return expit(logits) if self.task == "multi-label" else softmax(logits, axis=1)

    def save(self, folder: Path) -> None:
        """Write weights.npz and linear.json. Raises: OSError."""
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"coefficients": self.coefficients, "intercepts": self.intercepts}
        arrays |= {f"{each.kind}_weights": each.weights for each in self.ngrams}
        np.savez(folder / WEIGHTS, allow_pickle=False, **arrays)
        ngrams = [{"kind": each.kind, "longest": each.longest, "terms": each.terms} for each in self.ngrams]
        files.write_json(folder / DESCRIPTION, {"task": self.task, "classes": self.classes, "ngrams": ngrams})


def reader(ngrams: Sequence[Ngrams]) -> Any:
    """What makes one sparse matrix of texts, (texts, terms of all n-grams)."""
    from scipy import sparse

    readers = [each.reader() for each in ngrams]
    return lambda texts: sparse.hstack([read(texts) for read in readers], format="csr")


def load(folder: Path) -> LinearClassifier:
    """The classifier that `save` wrote. Raises: BundleError."""
    import numpy as np

    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            ngrams = tuple(
                Ngrams(each["kind"], each["longest"], tuple(each["terms"]), arrays[f"{each['kind']}_weights"])
                for each in described["ngrams"]
            )
            coefficients, intercepts = arrays["coefficients"], arrays["intercepts"]
        classes, task = tuple(described["classes"]), described["task"]
        if coefficients.shape != (sum(len(each.terms) for each in ngrams), len(classes)):
            raise ValueError("its weights are not those of its n-grams and classes")
    except Exception as error:  # the files' content decides its type
        raise BundleError(
            f"the linear model cannot be read: {error}",
            where=str(folder),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
    return LinearClassifier(classes, ngrams, coefficients, intercepts, task)
