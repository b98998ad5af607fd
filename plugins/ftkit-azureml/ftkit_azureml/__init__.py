"""Azure Machine Learning (SDK v2) for ftkit: managed online endpoints, the model registry, and recipes as pipelines."""

from __future__ import annotations

from ftkit import hookimpl
from ftkit_azureml.endpoint import ManagedEndpoint
from ftkit_azureml.platform import AzurePipelines
from ftkit_azureml.registry import AzureModels

__all__ = ["AzureModels", "AzurePipelines", "ManagedEndpoint", "deployers", "platforms", "registries"]


@hookimpl
def deployers() -> list[type]:
    """The deployer `managed-endpoint`."""
    return [ManagedEndpoint]


@hookimpl
def platforms() -> list[type]:
    """The platform `azureml`."""
    return [AzurePipelines]


@hookimpl
def registries() -> list[type]:
    """The registry `azureml`."""
    return [AzureModels]
