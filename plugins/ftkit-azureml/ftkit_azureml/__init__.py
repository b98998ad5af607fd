"""Azure Machine Learning (SDK v2) for ftkit: managed online endpoints, the model registry, and recipes as pipelines.

client      the SDK's client, and its exceptions as errors
options     what a recipe lets the platform and the deployer choose
scoring     what a deployment is made of beside its bundle
assets      models and environments of a workspace
sweep       `[search]` in the words of a sweep
job         the pipeline as the SDK builds it
runs        runs of a workspace as its own services know them
step        the service as one of its own jobs sees it
pipeline    the pipeline at the service: submitted, found again, followed, fetched, published
platform    the platform `azureml`
registry    the registry `azureml`
blueprint   a deployment as the SDK describes it
operations  operations that this process has begun
online      an endpoint as Azure has it
package     a folder to deploy by hand
endpoint    the deployer `managed-endpoint`
"""

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
