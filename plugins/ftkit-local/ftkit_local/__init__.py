"""This machine as an ftkit platform: search in worker processes, and an HTTP endpoint."""

from typing import Any

from ftkit import hookimpl
from ftkit_local.deployer import LocalDeployer
from ftkit_local.platform import LocalPlatform


@hookimpl
def platforms() -> list[type[Any]]:
    return [LocalPlatform]


@hookimpl
def deployers() -> list[type[Any]]:
    return [LocalDeployer]
