"""Azure Machine Learning (SDK v1) as an ftkit platform: a recipe as a HyperDrive pipeline."""

from typing import Any

from ftkit import hookimpl
from ftkit_hyperdrive.platform import HyperDrive


@hookimpl
def platforms() -> list[type[Any]]:
    return [HyperDrive]
