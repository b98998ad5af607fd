"""Every refusal of Azure that is known has a hint of its own, whichever exception brings it."""

from __future__ import annotations

import re

import pytest
from ftkit_azure import refusals
from ftkit_azure.rules import RULES

from ftkit.errors import StageError

ARM = (
    "The client 'x' with object id 'y' does not have authorization to perform action '{}' over scope "
    "'/subscriptions/s/resourceGroups/g' or the scope is invalid."
)

KNOWN = [
    ("AADSTS7000222: The provided client secret keys for app 'x' are expired.", "secret has expired", "new secret"),
    ("AADSTS7000215: Invalid client secret provided.", "secret is wrong", "not its id"),
    (
        "AADSTS700027: The certificate with identifier used to sign is expired.",
        "certificate",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    ("AADSTS90002: Tenant 'x' not found.", "tenant does not know", "AZURE_TENANT_ID"),
    (
        "AADSTS700016: Application with identifier 'x' was not found in the directory.",
        "tenant does not know",
        "AZURE_CLIENT_ID",
    ),
    ("AADSTS50057: The user account is disabled.", "disabled", "administrator"),
    ("AADSTS50076: you must use multi-factor authentication to access.", "rule of the tenant", "conditional access"),
    (
        "AADSTS53003: Access has been blocked by Conditional Access policies.",
        "rule of the tenant",
        "conditional access",
    ),
    ("AADSTS700082: The refresh token has expired due to inactivity.", "has expired", "az login"),
    ("ExpiredAuthenticationToken", "has expired", "az login"),
    (
        "InvalidAuthenticationTokenTenant: The access token is from the wrong issuer",
        "another tenant",
        "AZURE_TENANT_ID",
    ),
    ("AADSTS9999999: something new", "refused the sign-in", "AZURE_CLIENT_SECRET"),
    ("SubscriptionNotFound: The subscription 's' could not be found.", "no such subscription", "az account list"),
    (
        "You don't have access to s subscription, please check if it is in this tenant.",
        "no such subscription",
        "az account list",
    ),
    ("KeyBasedAuthenticationNotPermitted", "forbids shared keys", "--system-datastores-auth-mode identity"),
    (
        "Key based authentication is not permitted on this storage account.",
        "forbids shared keys",
        "Storage Blob Data Contributor",
    ),
    (
        "This request is not authorized to perform this operation using this permission. AuthorizationPermissionMismatch",
        "may not read or write",
        "Storage Blob Data Contributor",
    ),
    ("AuthorizationFailure: This request is not authorized to perform this operation.", "network rules", "address"),
    (
        "ForbiddenByFirewall: Client address is not authorized and caller is not a trusted service.",
        "network rules",
        "address",
    ),
    ("Client IP '20.1.2.3' not in allowlist", "network rules", "address"),
    ("denied: client with IP '20.1.2.3' is not allowed access.", "network rules", "address"),
    ("Public network access is disabled. Connect through private endpoint.", "network rules", "virtual network"),
    ("AuthenticationFailed: Server failed to authenticate the request.", "does not accept the signature", "clock"),
    ("RequestDisallowedByPolicy: Resource 'x' was disallowed by policy.", "policy of the organisation", "exemption"),
    (
        "ScopeLocked: cannot perform write operation because following scope(s) are locked",
        "lock protects",
        "remove the lock",
    ),
    (
        "LeaseIdMissing: There is currently a lease on the blob and no lease ID was specified.",
        "holds a lease",
        "same command",
    ),
    ("ReadOnlyDisabledSubscription", "disabled", "enable it"),
    ("MissingSubscriptionRegistration: Microsoft.MachineLearningServices", "not registered", "az provider register"),
    ("ForbiddenByRbac: Caller is not authorized to perform action on resource.", "key vault", "Key Vault Secrets User"),
    ("OutOfQuota: Not enough quota available for Standard DSv2 Family vCPUs.", "quota is used up", "instance_type"),
    ("OutOfCapacity", "no such machines left", "another region"),
    ("ResourceGroupNotFound: Resource group 'g' could not be found.", "no such workspace", "resource_group"),
    (
        ARM.format("Microsoft.MachineLearningServices/workspaces/jobs/write"),
        "does not allow",
        "role AzureML Data Scientist on /subscriptions/s",
    ),
    (
        ARM.format("Microsoft.MachineLearningServices/workspaces/computes/write"),
        "does not allow",
        "AzureML Compute Operator",
    ),
    (ARM.format("Microsoft.MachineLearningServices/workspaces/write"), "does not allow", "role Contributor"),
    (ARM.format("Microsoft.Storage/storageAccounts/listKeys/action"), "does not allow", "Storage Account Key Operator"),
    (ARM.format("Microsoft.Resources/subscriptions/read"), "does not allow", "role Reader"),
]


class Answer:
    """An answer as HTTP libraries hold it."""

    def __init__(self, status: int, text: str = "") -> None:
        self.status_code = status
        self.text = text


class Refused(Exception):
    """An exception that carries an answer."""

    def __init__(self, message: str, status: int = 403, body: str = "") -> None:
        super().__init__(message)
        self.response = Answer(status, body)


def raised_from(message: str) -> Exception:
    """An exception that hides its reason behind a sentence of its own."""
    try:
        try:
            raise Refused(message)
        except Refused as inner:
            raise RuntimeError("The upload failed.") from inner
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(("text", "what", "hint"), KNOWN)
@pytest.mark.parametrize("wrap", [Refused, raised_from, lambda text: Refused("Forbidden", 403, text)])
def test_a_refusal_is_explained_wherever_its_code_stands(text: str, what: str, hint: str, wrap: object) -> None:
    error = refusals.as_error(wrap(text), StageError, "here", "the pipeline cannot be submitted")  # type: ignore[operator]
    assert error.what.startswith("the pipeline cannot be submitted: ")
    assert what in error.what
    assert hint in error.hint
    assert error.where == "here"


def test_every_rule_is_met_by_a_known_refusal() -> None:
    unmet = [rule.what for rule in RULES if not any(re.search(rule.pattern, text) for text, _, _ in KNOWN)]
    assert not unmet


@pytest.mark.parametrize(
    ("status", "what", "hint"),
    [
        (401, "refused the sign-in", "AZURE_CLIENT_SECRET"),
        (403, "does not allow this", "network rules"),
        (404, "Azure refused: no", ""),
        (429, "come back later", "same command"),
        (503, "Azure failed", "same command"),
    ],
)
def test_an_unknown_refusal_is_explained_by_its_status(status: int, what: str, hint: str) -> None:
    explanation = refusals.explain(Refused("no", status))
    assert what in explanation.what
    assert hint in explanation.hint


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (Refused("", 429), True),
        (Refused("", 503), True),
        (Refused("", 403), False),
        (ConnectionResetError(), True),
        (ValueError("no"), False),
        (StageError("no"), False),
    ],
)
def test_what_may_pass_by_itself_is_known(error: Exception, transient: bool) -> None:
    assert refusals.is_transient(error) is transient


def test_an_error_of_ftkit_explains_itself() -> None:
    assert refusals.explain(StageError("what", "where", "hint")) == ("what", "hint")


def test_an_explanation_shows_no_secret() -> None:
    text = "PUT https://x.blob.core.windows.net/y?sv=1&sig=abcdef%3D&sp=r failed: Bearer eyJhbGciOi.J0eXAiOiJKV1Qi.x AccountKey=Zm9vYmFy=="
    shown = refusals.explain(Refused(text)).what
    for secret in ("abcdef", "eyJhbGciOi", "Zm9vYmFy"):
        assert secret not in shown
