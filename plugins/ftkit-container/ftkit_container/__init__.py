"""Containers for ftkit: an image of each deployment, built and run by docker or podman on this machine."""

from typing import Any

from ftkit import hookimpl
from ftkit_container.deployer import ContainerDeployer


@hookimpl
def deployers() -> list[type[Any]]:
    return [ContainerDeployer]
