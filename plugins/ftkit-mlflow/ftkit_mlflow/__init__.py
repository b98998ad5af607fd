"""MLflow as ftkit's model registry: a SQLite file by default, or any MLflow server."""

from __future__ import annotations

from ftkit import hookimpl
from ftkit_mlflow.registry import MLflow

__all__ = ["MLflow", "registries"]


@hookimpl
def registries() -> list[type]:
    """The registry `mlflow`."""
    return [MLflow]
