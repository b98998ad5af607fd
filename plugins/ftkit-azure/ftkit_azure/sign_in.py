"""Which credential signs in to Azure, and its tokens: one rule for both SDKs."""

from __future__ import annotations

import functools
import os
import shutil
from typing import Any, Literal

from ftkit.errors import PluginError, UsageError

Credential = Literal["auto", "service-principal", "managed-identity", "cli", "interactive"]

PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
"""Variables of a service principal; beside them one of `PROOFS`."""
PROOFS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH")
_MACHINE = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZUREML_RUN_ID")
"""Variables that only machines of Azure with an identity have."""

RETRIES = 4
"""How often a request is sent again after a failure that may pass: with the SDK's own number a wrong network setting takes many
minutes."""


def chosen(credential: Credential) -> Credential:
    """The credential that signs in: `auto` is the first that this machine has. Raises: UsageError when it lacks what it needs."""
    missing = [name for name in PRINCIPAL if not os.environ.get(name)]
    if not any(os.environ.get(name) for name in PROOFS):
        missing.append(" or ".join(PROOFS))
    if credential == "service-principal" and missing:
        raise UsageError(
            f"the service principal is not complete: {', '.join(missing)} not set",
            where="the environment",
            hint=f"Set {', '.join(PRINCIPAL)} and {' or '.join(PROOFS)}.",
        )
    if credential != "auto":
        return credential
    if not missing:
        return "service-principal"
    if any(os.environ.get(name) for name in _MACHINE):
        return "managed-identity"
    if shutil.which("az"):
        return "cli"
    raise UsageError(
        "there is no credential for Azure",
        where="the environment",
        hint=f"Set {', '.join(PRINCIPAL)} and AZURE_CLIENT_SECRET of a service principal, or install the Azure CLI and sign in with "
        '`az login`, or set credential to "managed-identity" or "interactive".',
    )


def signed_in(credential: Credential) -> Any:
    """A credential of azure-identity, the same one for the same variables. Raises: UsageError, PluginError."""
    return _credential(chosen(credential), tuple(os.environ.get(name) for name in (*PRINCIPAL, *PROOFS)))


def forget() -> None:
    """Drop the credentials of this process, so that the next use signs in anew."""
    _credential.cache_clear()


@functools.cache
def _credential(kind: Credential, _: tuple[str | None, ...]) -> Any:
    try:
        from azure import identity
    except ImportError as error:
        raise PluginError(
            f"azure-identity cannot be imported: {error}", where="ftkit-azure", hint="pip install azure-identity"
        ) from error
    match kind:
        case "service-principal":
            return identity.EnvironmentCredential(retry_total=RETRIES)
        case "managed-identity":
            client = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID") or os.environ.get("AZURE_CLIENT_ID")
            return identity.ManagedIdentityCredential(client_id=client, retry_total=RETRIES)
        case "interactive":
            return identity.InteractiveBrowserCredential(retry_total=RETRIES)
        case _:
            return identity.AzureCliCredential()
