"""The SDK as the plugin meets it: present or not, and its exceptions as errors that say how to go on."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ftkit.errors import FtkitError, PluginError, StageError

T = TypeVar("T")

ENDED = "2026-06-30"
"""When Microsoft's support for the SDK ended."""

NOTICE = (
    f"Microsoft's support for Azure ML SDK v1 and HyperDrive ended on {ENDED}. The successor is SDK v2: "
    'write on = "azureml" in [run], or give --on azureml.'
)

PACKAGES = {
    "azure.identity": "azure-identity",
    "azureml.core": "azureml-core",
    "azureml.pipeline.steps": "azureml-pipeline-steps",
    "azureml.train.hyperdrive": "azureml-train-core",
}


def require() -> None:
    """See that the SDK can be used, before anything else is done. Raises: PluginError."""
    if sys.version_info >= (3, 12):
        raise PluginError(
            f"Azure ML SDK v1 runs on Python 3.10 and 3.11; this is {sys.version_info.major}.{sys.version_info.minor}",
            hint="Use SDK v2, which does: --on azureml (pip install ftkit-azureml). Or make an environment with Python 3.11.",
        )
    missing = [package for module, package in PACKAGES.items() if not _there(module)]
    if missing:
        raise PluginError(
            f"Azure ML SDK v1 is not installed: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint=f"pip install {' '.join(missing)}",
        )
    _quieten()


def _there(module: str) -> bool:
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
def asking(what: str, where: str = "", hint: str = "") -> Iterator[None]:
    """Turn whatever the SDK raises in the block into a StageError of one readable sentence, and keep what it prints to itself."""
    try:
        with silent():
            yield
    except FtkitError:
        raise
    except Exception as error:
        raise StageError(f"{what}: {said(error)}", where=where, hint=hint or "Give the same command again.") from error


PATIENCE = (1.0, 4.0, 15.0)
"""Seconds before a call is made again that failed for what may pass; the SDK itself tries again only what changes nothing."""

PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses of answers that may be others the next time."""


def persistently(call: Callable[[], T], look: Callable[[], T | None] = lambda: None) -> T:
    """Make a call again that failed for what may pass, unless `look` finds that it was carried out. Raises: StageError."""
    for seconds in PATIENCE:
        try:
            return call()
        except StageError as error:
            if not passing(error):
                raise
        time.sleep(seconds)
        if (found := look()) is not None:
            return found
    return call()


def passing(error: BaseException | None) -> bool:
    """Whether an error, or one it came from, is of a kind that may pass: throttling, a server's failure, a cut connection."""
    while error is not None:
        answer = getattr(error, "response", None)
        status = getattr(error, "status_code", None) or getattr(answer, "status_code", None)
        if status in PASSING or isinstance(error, ConnectionError):
            return True
        if type(error).__module__.partition(".")[0] in ("requests", "urllib3") and status is None:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def silent() -> Iterator[None]:
    """Keep what the SDK prints out of standard output, which may be read by a machine."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def said(error: BaseException) -> str:
    """What an exception of the SDK says, in one line and without a secret."""
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return redacted(" ".join(str(text).split()))[:600]


def redacted(text: str) -> str:
    """A text without signatures, keys and tokens, and without the service principal's secret."""
    text = re.sub(r"(?i)(sig|code|accountkey|sharedaccesssignature|client_secret)=[^&\s\"']+", r"\1=***", text)
    text = re.sub(r"(?i)bearer\s+[\w.~+/-]+=*", "Bearer ***", text)
    secret = os.environ.get("AZURE_CLIENT_SECRET")
    return text.replace(secret, "***") if secret else text
