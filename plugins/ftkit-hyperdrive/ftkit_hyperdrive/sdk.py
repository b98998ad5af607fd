"""The SDK: whether it is installed, its exceptions as errors that say how to go on, and calls that are made again."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ftkit_azure import refusals

from ftkit.bundled_plugins import how_to_install
from ftkit.errors import FtkitError, PluginError, StageError

T = TypeVar("T")

ENDED = "2026-06-30"
"""When Microsoft's support for the SDK ended."""

NOTICE = (
    f"Microsoft's support for Azure ML SDK v1 and HyperDrive ended on {ENDED}. The successor is SDK v2: "
    'write on = "azureml" in [run], or give --on azureml.'
)

PACKAGES = {
    "azureml.core": "azureml-core",
    "azureml.pipeline.steps": "azureml-pipeline-steps",
    "azureml.train.hyperdrive": "azureml-train-core",
}

CLIENT_ONLY = ("azureml-pipeline-steps", "azureml-pipeline-core", "azureml-train-core")
"""Parts of the SDK that build pipelines; a step needs azureml-core alone."""


def require() -> None:
    """Ensure that the SDK is installed, before anything else is done. Raises: PluginError."""
    if sys.version_info >= (3, 12):
        raise PluginError(
            f"Azure ML SDK v1 runs on Python 3.10 and 3.11; this is {sys.version_info.major}.{sys.version_info.minor}",
            hint=f"Use SDK v2, which does: --on azureml ({how_to_install('ftkit-azureml')}). Or make an environment with Python 3.11.",
        )
    missing = [package for module, package in PACKAGES.items() if not _is_installed(module)]
    if missing:
        raise PluginError(
            f"Azure ML SDK v1 is not installed: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint=f"pip install {' '.join(missing)}",
        )
    _quieten()


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


def _quieten() -> None:
    """Keep what the SDK writes to standard error and its telemetry out of a run's output."""
    os.environ.setdefault("AZUREML_COMMON_CORE_TELEMETRY", "false")
    warnings.filterwarnings("ignore", module=r"azureml\..*")
    for name in ("azureml", "msrest", "azure", "adal", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def calling(what: str, where: str = "", hint: str = refusals.AGAIN) -> Iterator[None]:
    """Turn what the SDK raises in the block into a StageError that says what was tried, and hide what it prints."""
    try:
        with silent():
            yield
    except FtkitError:
        raise
    except Exception as error:  # of the SDK, and of the libraries that it is made of
        raise refusals.as_error(error, StageError, where, what, hint) from error


PAUSES = (1.0, 4.0, 15.0)
"""Seconds before a call is made again that failed for what may pass; the SDK itself repeats only calls that change nothing."""


def retry(call: Callable[[], T], done: Callable[[], T | None] = lambda: None) -> T:
    """Make a call again that failed for what may pass, unless `done` finds that it was carried out. Raises: StageError."""
    for seconds in PAUSES:
        try:
            return call()
        except StageError as error:
            if not refusals.is_transient(error):
                raise
        time.sleep(seconds)
        if (result := done()) is not None:
            return result
    return call()


@contextmanager
def silent() -> Iterator[None]:
    """Keep what the SDK prints out of standard output, which may be read by a machine."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
