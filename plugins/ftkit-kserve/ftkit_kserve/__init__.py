"""KServe for ftkit: an InferenceService for each deployment, and a route of the Gateway API that divides the traffic."""

from typing import Any

from ftkit import hookimpl
from ftkit_kserve.deployer import KServe


@hookimpl
def deployers() -> list[type[Any]]:
    return [KServe]
