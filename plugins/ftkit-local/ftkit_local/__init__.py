"""This machine as an ftkit platform: search in worker processes, and an HTTP endpoint."""

from ftkit import hookimpl
from ftkit_local.deployer import LocalDeployer
from ftkit_local.platform import LocalPlatform


@hookimpl
def platforms():
    return [LocalPlatform]


@hookimpl
def deployers():
    return [LocalDeployer]
