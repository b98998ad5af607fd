"""The SDK's client: signed in, quiet, one for each workspace and credential of a process; and its exceptions as errors."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ftkit_azure import refusals, sign_in
from ftkit_azure.workspace import InWorkspace, Workspace

from ftkit.errors import FtkitError, PluginError, StageError


@contextmanager
def connected(options: InWorkspace, kind: type[StageError], where: str) -> Iterator[Any]:
    """The SDK's client, and what it raises in the block as errors of this kind at this place.

    Raises: PluginError when the SDK is not there; UsageError when the workspace or the credential is not.
    """
    with translated(kind, where):
        yield _opened(options.place, sign_in.signed_in(options.credential))


@contextmanager
def translated(kind: type[StageError], where: str) -> Iterator[None]:
    """Raise what the SDK raises in the block as an error of this kind."""
    try:
        yield
    except (FtkitError, KeyboardInterrupt):
        raise
    except Exception as error:
        if not _is_of_azure(error):
            raise
        logging.getLogger("ftkit.azureml").debug("Azure refused", exc_info=error)
        raise refusals.as_error(
            error, kind, where
        ) from None  # the SDK's exceptions carry whole requests, keys included


def forget() -> None:
    """Drop the clients and credentials of this process, so that the next use signs in anew."""
    _opened.cache_clear()
    sign_in.forget()


@functools.cache
def _opened(place: Workspace, credential: Any) -> Any:
    try:
        from azure.ai.ml import MLClient
    except ImportError as error:
        raise PluginError(
            f"azure-ai-ml cannot be imported: {error}", where="ftkit-azureml", hint="pip install azure-ai-ml"
        ) from error
    _silence()
    return MLClient(
        credential,
        place.subscription,
        place.resource_group,
        place.name,
        show_progress=True,  # see _silence
        enable_telemetry=False,
        retry_total=sign_in.RETRIES,
    )


def _silence() -> None:
    """Keep the SDK from printing dots, blank lines and bars, which it does whatever its options say.

    Without `show_progress` it would ignore what fails in an upload, and wait for ever for the rest.
    """
    from azure.ai.ml._artifacts import _blob_storage_helper
    from azure.ai.ml._utils import _asset_utils, _azureml_polling

    logging.getLogger("azure").addHandler(logging.NullHandler())  # or Python prints what nobody handles
    for module in (_blob_storage_helper, _azureml_polling):
        vars(module)["print"] = _print_nothing
    vars(_asset_utils)["tqdm"] = functools.partial(_asset_utils.tqdm, disable=True)


def _print_nothing(*_: object, **__: object) -> None:
    return None


def _is_of_azure(error: BaseException) -> bool:
    """Whether an exception comes from the SDK, or was raised from one that does: it sometimes raises a plain Exception."""
    modules = ("azure.", "requests.", "marshmallow.")
    if any(base.__module__.startswith(modules) for base in type(error).__mro__):
        return True
    return error.__cause__ is not None and _is_of_azure(error.__cause__)
