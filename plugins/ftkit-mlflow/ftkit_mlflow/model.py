"""A registered bundle as an MLflow model, for `mlflow models serve` and `mlflow.pyfunc.load_model`.

MLflow calls `_load_pyfunc` because the version's `MLmodel` names this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.serving.schema import answer
from ftkit_mlflow import texts


class Labels:
    """A bundle in MLflow's python_function flavour: takes texts in any form that MLflow has, returns label names, None where it is unsure."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[Any]:
        """One label for each text, of a multi-label model the list of its labels; with the parameter `scores` all probabilities too.

        Raises: MlflowException for a missing text and for input without texts.
        """
        given = texts.read(model_input, self._bundle.fields)
        if not given:
            return []
        bundle, scores = self._bundle, bool((params or {}).get("scores"))
        return answer(bundle.probabilities(given), bundle.classes, scores, bundle.task, bundle.rule)


def _load_pyfunc(path: str) -> Labels:
    """Verify the bundle's hashes and load its weights. Raises: BundleError, PluginError."""
    bundle = bundles.verify(Path(path))
    bundle.classifier  # noqa: B018  # loaded now, so that a server that reports ready is ready
    return Labels(bundle)
