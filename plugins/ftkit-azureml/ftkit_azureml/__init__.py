"""Azure Machine Learning (SDK v2) for ftkit: managed online endpoints and the model registry."""

from __future__ import annotations

from ftkit import hookimpl
from ftkit_azureml.endpoint import ManagedEndpoint
from ftkit_azureml.registry import AzureModels

__all__ = ["AzureModels", "ManagedEndpoint", "deployers", "registries"]


@hookimpl
def deployers() -> list[type]:
    """The deployer `managed-endpoint`."""
    return [ManagedEndpoint]


@hookimpl
def registries() -> list[type]:
    """The registry `azureml`."""
    return [AzureModels]
