"""What the SDK raises, as errors of ftkit: what happened, where, and how to fix it, with no secret in it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ftkit.errors import FtkitError, StageError
from ftkit_azureml.client import PROOFS

_SIGN_IN = (
    "Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal, or sign in with `az login`; "
    'credential = "interactive" asks in a browser.'
)
_RIGHTS = "Ask the workspace's owner for the role AzureML Data Scientist on it."
_QUOTA = (
    "Ask for quota in Azure's portal (Machine Learning, Quotas), delete deployments that are not needed, or choose another "
    "instance_type or a smaller instance_count."
)
_AGAIN = "Give the same command again: what was finished is kept."

_SECRETS = re.compile(
    r"(?i)\b(sig|sas_?token|accountkey|instrumentationkey|client_secret)=[^&\s\"']+|\bBearer\s+[\w.~+/=-]+"
)


@contextmanager
def told(error: type[StageError], where: str) -> Iterator[None]:
    """Pass a block's exceptions of the SDK on as this kind of error."""
    try:
        yield
    except (FtkitError, KeyboardInterrupt):
        raise
    except Exception as failure:
        if not _is_of_azure(failure):
            raise
        logging.getLogger("ftkit.azureml").debug("Azure refused", exc_info=failure)
        raise as_error(failure, error, where) from None  # the SDK's exceptions carry whole requests, keys included


def as_error(failure: BaseException, error: type[StageError], where: str) -> StageError:
    """One exception of the SDK as an error."""
    what, hint = reason(failure)
    return error(what, where, hint)


def reason(failure: BaseException) -> tuple[str, str]:
    """What an exception of the SDK says, and how to fix it."""
    from azure.core import exceptions

    said = clean(_said(failure))
    status = getattr(failure, "status_code", None)
    if isinstance(failure, exceptions.ClientAuthenticationError):
        return f"Azure refused the sign-in: {said}", _SIGN_IN
    if status == 403:
        return f"Azure does not allow this: {said}", _RIGHTS
    if "quota" in said.lower():
        return f"the subscription's quota is used up: {said}", _QUOTA
    if status == 429:
        return f"Azure asks to come back later: {said}", _AGAIN
    if isinstance(failure, exceptions.ServiceRequestError | exceptions.ServiceResponseError) or _is_of_requests(
        failure
    ):
        return f"Azure cannot be reached: {said}", f"Check the network and its proxy. {_AGAIN}"
    if status == 404 and is_about_workspace(failure):
        return f"there is no such workspace: {said}", "Check subscription, resource_group and workspace."
    if status and status >= 500:
        return f"Azure failed: {said}", _AGAIN
    return f"Azure refused: {said}", ""


def is_missing(failure: BaseException) -> bool:
    """Whether an exception says that something is not there."""
    return getattr(failure, "status_code", None) == 404


def is_about_workspace(failure: BaseException) -> bool:
    """Whether what is not there is the workspace itself, or what it is in."""
    code = getattr(getattr(failure, "error", None), "code", None)
    said = _said(failure)
    return code in ("ResourceGroupNotFound", "SubscriptionNotFound", "ParentResourceNotFound") or bool(
        re.search(r"workspaces/[^/'\" ]+'", said)
    )


def clean(text: str) -> str:
    """A text without signatures, tokens and passwords."""
    text = _SECRETS.sub(lambda found: f"{found[0].split('=')[0].split()[0]}=…", text)
    for name in PROOFS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "…")
    return text


def _said(failure: BaseException) -> str:
    told_ = getattr(failure, "error", None)
    code, message = getattr(told_, "code", None), getattr(told_, "message", None)
    if code and message and isinstance(message, str):
        return f"{message} ({code})"
    message = getattr(failure, "message", None) or str(failure)
    first = str(message).strip().split("\nContent:")[0].strip()
    return " ".join(first.split()) or type(failure).__name__


def _is_of_azure(failure: BaseException) -> bool:
    return any(each.__module__.startswith(("azure.", "requests.", "marshmallow.")) for each in type(failure).__mro__)


def _is_of_requests(failure: BaseException) -> bool:
    return type(failure).__module__.startswith("requests.")
