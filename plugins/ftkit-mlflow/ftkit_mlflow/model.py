"""A registered bundle as an MLflow model, for `mlflow models serve` and `mlflow.pyfunc.load_model`.

MLflow calls `_load_pyfunc` because the version's `MLmodel` names this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle


class Labels:
    """A bundle in MLflow's python_function flavour: takes a table with a column `text`, returns label names."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[Any]:
        """One label for each row; with the parameter `scores` also its probability and those of all classes."""
        texts = ["" if text is None or text != text else str(text) for text in model_input["text"]]
        if not texts:
            return []
        probabilities = self._bundle.probabilities(texts)
        best = probabilities.argmax(axis=1)
        labels = [self._bundle.classes[index] for index in best]
        if not (params or {}).get("scores"):
            return labels
        return [
            {
                "label": label,
                "score": float(row[index]),
                "scores": {name: float(value) for name, value in zip(self._bundle.classes, row, strict=True)},
            }
            for label, index, row in zip(labels, best, probabilities, strict=True)
        ]


def _load_pyfunc(path: str) -> Labels:
    """Verify the bundle's hashes and load its weights. Raises: BundleError, PluginError."""
    bundle = bundles.verify(Path(path))
    bundle.classifier  # noqa: B018  # loaded now, so that a server that reports ready is ready
    return Labels(bundle)
