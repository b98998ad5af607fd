"""The SDK's clients, one of each service for a region and profile of a process; and its exceptions as errors."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ftkit.errors import DeployError, FtkitError, PluginError
from ftkit_sagemaker import refusals

ATTEMPTS = 6
"""How often the SDK tries what was throttled, failed or got no answer."""
CONNECT, READ = 10, 70
"""Seconds; SageMaker gives a container 60 to answer."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what the SDK raises in the block as an error about this place. Raises: DeployError."""
    try:
        yield
    except (FtkitError, KeyboardInterrupt):
        raise
    except Exception as error:
        if not any(base.__module__.startswith(("botocore.", "boto3.", "s3transfer.")) for base in type(error).__mro__):
            raise
        logging.getLogger("ftkit.sagemaker").debug("AWS refused", exc_info=error)
        what, hint = refusals.explain(error)
        raise DeployError(what, where, hint) from None  # the SDK's exceptions may carry whole requests


@functools.cache
def client(service: str, region: str, profile: str) -> Any:
    """The client of a service; an empty region or profile is that of the AWS configuration.

    Raises: PluginError when the SDK is not there; what the SDK raises.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise PluginError(
            f"boto3 cannot be imported: {error}", where="ftkit-sagemaker", hint="pip install boto3"
        ) from error
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, connect_timeout=CONNECT, read_timeout=READ
    )
    session = boto3.Session(profile_name=profile or None, region_name=region or None)
    return session.client(service, config=config)


def forget() -> None:
    """Drop the clients of this process, so that the next use signs in anew."""
    client.cache_clear()
