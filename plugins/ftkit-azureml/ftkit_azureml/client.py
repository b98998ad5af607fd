"""The SDK's client: signed in, quiet, and one for each workspace and credential of a process."""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

from ftkit.errors import PluginError
from ftkit_azureml.workspace import Credential, Workspace

PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
"""Variables of a service principal; beside them a secret or a certificate."""
PROOFS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH")
_IDENTITY = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZUREML_RUN_ID")
"""Variables that only machines of Azure with an identity have."""

RETRIES = 4
"""How often the SDK asks again after a failure that may pass: with its own number a wrong network setting takes many minutes."""


def opened(place: Workspace, credential: Credential) -> Any:
    """The client of a workspace. Raises: PluginError when the SDK or the credential is not there."""
    return _opened(place, signed_in(credential))


@functools.cache
def _opened(place: Workspace, credential: Any) -> Any:
    try:
        from azure.ai.ml import MLClient
    except ImportError as error:
        raise _missing("azure-ai-ml", error) from error
    _hush()
    return MLClient(
        credential,
        place.subscription,
        place.resource_group,
        place.name,
        show_progress=True,  # see _hush
        enable_telemetry=False,
        retry_total=RETRIES,
    )


def signed_in(credential: Credential) -> Any:
    """The credential that the option names, the same one for the same variables. Raises: PluginError."""
    chosen = _found() if credential == "auto" else credential
    if chosen == "service-principal" and not _is_principal():
        raise PluginError(
            "the variables of a service principal are not set",
            hint=f"Set {', '.join(PRINCIPAL)} and {' or '.join(PROOFS)}.",
        )
    return _credential(chosen, tuple(os.environ.get(name) for name in (*PRINCIPAL, *PROOFS)))


@functools.cache
def _credential(chosen: str, _: tuple[str | None, ...]) -> Any:
    try:
        from azure import identity
    except ImportError as error:
        raise _missing("azure-identity", error) from error
    settings: dict[str, Any] = {"retry_total": RETRIES}
    match chosen:
        case "service-principal":
            return identity.EnvironmentCredential(**settings)
        case "managed-identity":
            client = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID") or os.environ.get("AZURE_CLIENT_ID")
            return identity.ManagedIdentityCredential(client_id=client, **settings)
        case "interactive":
            return identity.InteractiveBrowserCredential(**settings)
        case _:
            return identity.AzureCliCredential()


def forget() -> None:
    """Drop the clients and tokens of this process, so that the next use signs in anew."""
    _opened.cache_clear()
    _credential.cache_clear()


def _found() -> str:
    if _is_principal():
        return "service-principal"
    return "managed-identity" if any(os.environ.get(name) for name in _IDENTITY) else "cli"


def _is_principal() -> bool:
    return all(os.environ.get(name) for name in PRINCIPAL) and any(os.environ.get(name) for name in PROOFS)


def _hush() -> None:
    """Keep the SDK from printing: dots, blank lines and bars on a terminal that is not its own, whatever it is told.

    Told to show no progress it would be worse: then it passes over what fails in an upload, and waits for ever for the rest.
    """
    from azure.ai.ml._artifacts import _blob_storage_helper
    from azure.ai.ml._utils import _asset_utils, _azureml_polling

    logging.getLogger("azure").addHandler(logging.NullHandler())  # or Python prints what nobody handles
    for module in (_blob_storage_helper, _azureml_polling):
        vars(module)["print"] = _nothing
    vars(_asset_utils)["tqdm"] = functools.partial(_asset_utils.tqdm, disable=True)


def _nothing(*_: object, **__: object) -> None:
    return None


def _missing(distribution: str, error: ImportError) -> PluginError:
    return PluginError(
        f"{distribution} cannot be imported: {error}",
        where="ftkit-azureml",
        hint=f"pip install {distribution}",
    )
