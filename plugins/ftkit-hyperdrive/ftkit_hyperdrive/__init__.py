"""Azure Machine Learning (SDK v1) for ftkit: a recipe as a HyperDrive pipeline.

options     what a recipe lets the platform choose
search      `[search]` in the words of HyperDrive
sdk         the SDK: whether it is installed, its exceptions as errors, calls that are made again
workspace   signing in, the workspace, and its clusters
graph       the pipeline as the SDK builds it
trials      HyperDrive's run of a search
step        HyperDrive as one of its own jobs sees it
pipeline    the pipeline at the service: submitted, found again, followed, fetched, published
platform    the platform `hyperdrive`
"""

from typing import Any

from ftkit import hookimpl
from ftkit_hyperdrive.platform import HyperDrive

__all__ = ["HyperDrive", "platforms"]


@hookimpl
def platforms() -> list[type[Any]]:
    """The platform `hyperdrive`."""
    return [HyperDrive]
