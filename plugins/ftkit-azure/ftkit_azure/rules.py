"""The one table of what Azure refuses, by codes and sentences, each with what happened and how to repair it.

Source: Microsoft, "Troubleshoot common Azure deployment errors", "Microsoft Entra authentication and authorization error codes",
"Common REST API error codes" of Azure Storage and Azure Key Vault.
"""

from __future__ import annotations

from typing import NamedTuple

AGAIN = "Give the same command again: what was finished is kept."


class Rule(NamedTuple):
    """How to know a refusal by the codes and sentences in its texts, as one regular expression, and what to say about it."""

    pattern: str
    what: str
    hint: str


SIGN_IN = "Azure refused the sign-in"
ENVIRONMENT = (
    "Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal, or sign in with `az login`; "
    'credential = "interactive" asks in a browser.'
)
_TENANT = (
    "Sign in to the tenant of the subscription: compare AZURE_TENANT_ID and AZURE_CLIENT_ID with the service principal's page in "
    "Microsoft Entra, or give `az login --tenant TENANT`."
)
_NETWORK = (
    "Allow this machine's address in the networking settings of what refused it (workspace, storage account, key vault or container "
    "registry), or give the command on a machine inside its virtual network."
)
_QUOTA = (
    "Ask for quota in Azure's portal (Machine Learning, Quotas), delete deployments and clusters that are not needed, or choose "
    "another size of machines or fewer of them: instance_type and instance_count of a deployment, gpu_size, cpu_size and max_nodes "
    "of clusters."
)
_WORKSPACE = "Compare subscription, resource_group and workspace with the workspace's page in Azure's portal."

RULES = (
    # ------------------------------------------------------------------------------------ a signature, which is no sign-in
    Rule(
        r"Server failed to authenticate the request|(?i:signature (not valid|did not match|fields not well formed))",
        "the workspace's storage does not accept the signature",
        "Correct this machine's clock. If the keys of the storage account were changed, give `az ml workspace sync-keys`.",
    ),
    # ------------------------------------------------------------------------------------ sign-in
    Rule(
        r"AADSTS7000222",
        f"{SIGN_IN}, because the client secret has expired",
        "Make a new secret (`az ad app credential reset --id CLIENT_ID --append`) and set AZURE_CLIENT_SECRET to it.",
    ),
    Rule(
        r"AADSTS7000215",
        f"{SIGN_IN}, because the client secret is wrong",
        "Set AZURE_CLIENT_SECRET to the secret's value, which is not its id, and AZURE_CLIENT_ID to the application it belongs to.",
    ),
    Rule(
        r"AADSTS(700027|700024|7000271|50012|700021)",
        f"{SIGN_IN}, because the certificate is not the service principal's",
        "Let AZURE_CLIENT_CERTIFICATE_PATH name a certificate that is valid and registered for AZURE_CLIENT_ID.",
    ),
    Rule(
        r"AADSTS(90002|900023|900021|700016|50020|50128|500011)",
        f"{SIGN_IN}, because this tenant does not know it",
        _TENANT,
    ),
    Rule(
        r"AADSTS(7000112|50057)",
        f"{SIGN_IN}, because the account is disabled",
        "Ask an administrator of the tenant to enable it, or sign in with another.",
    ),
    Rule(
        r"AADSTS(50005|50076|50079|50097|50158|53000|53001|53002|53003|53004|530003)",
        f"{SIGN_IN}, because a rule of the tenant asks for more",
        "Sign in with `az login` in a browser, on a device and in a place that the tenant's conditional access allows, or use a service "
        "principal.",
    ),
    Rule(
        r"AADSTS(50078|50089|50173|54005|65001|70008|70043|700081|700082|700084)|(?i:expired ?authentication ?token|token (is|has) expired)",
        f"{SIGN_IN}, because it has expired",
        f"Give `az login` again. {ENVIRONMENT}",
    ),
    Rule(r"InvalidAuthenticationTokenTenant|wrong issuer", f"{SIGN_IN}, because it is for another tenant", _TENANT),
    Rule(
        r"You don't have access to .*subscription|SubscriptionNotFound|InvalidSubscriptionId",
        "there is no such subscription for this account",
        "Compare subscription with `az account list`. It may be in another tenant (AZURE_TENANT_ID, `az login --tenant TENANT`), or its "
        "owner has given the account no role in it.",
    ),
    Rule(r"AADSTS\d+|InvalidAuthenticationToken|AuthenticationFailed|CredentialUnavailable", SIGN_IN, ENVIRONMENT),
    # ------------------------------------------------------------------------------------ storage
    Rule(
        r"KeyBasedAuthenticationNotPermitted|Key based authentication is not permitted",
        "the workspace's storage account forbids shared keys",
        "Let the workspace use identities for its storage (`az ml workspace update --system-datastores-auth-mode identity`), and give "
        "who signs in, and the clusters' identities, the role Storage Blob Data Contributor on the storage account.",
    ),
    Rule(
        r"AuthorizationPermissionMismatch|not authorized to perform this operation using this permission|Storage Blob Data Reader",
        "the account may not read or write the workspace's storage",
        "Give it the role Storage Blob Data Contributor on the workspace's storage account; a new role takes up to ten minutes to work.",
    ),
    Rule(
        r"LeaseAlreadyPresent|LeaseIdMissing|LeaseIdMismatch\w*|LeaseNotPresent\w*|(?i:there is currently a lease)",
        "somebody else holds a lease on this file",
        f"Wait until the other upload has ended, or break the lease in the storage account. {AGAIN}",
    ),
    # ------------------------------------------------------------------------------------ network
    Rule(
        r"AuthorizationFailure|AuthorizationSourceIPMismatch|ForbiddenByFirewall|ForbiddenByConnection|ClientIpNotAllowed"
        r"|not authorized to perform this operation|PublicNetworkAccess(Is)?(Disabled|NotAllowed)"
        r"|(?i:client (with )?ip\b[^\n]{0,60}?not (allowed|authorized|in (the )?allow ?list))|(?i:client address is not authorized)"
        r"|(?i:public (network )?access (is |was )?(disabled|not allowed))|(?i:through (a )?private (endpoint|link))"
        r"|(?i:private (endpoint|link)[^.\n]{0,60}(required|only))",
        "the network rules of Azure keep this machine out",
        _NETWORK,
    ),
    # ------------------------------------------------------------------------------------ rules of the organisation
    Rule(
        r"RequestDisallowedByPolicy|(?i:disallowed by (azure )?policy)",
        "a policy of the organisation forbids this",
        "The policy that Azure names says what it asks for: change the option that breaks it, or ask its owner for an exemption.",
    ),
    Rule(
        r"ScopeLocked|(?i:following scope\(s\) are locked)",
        "a lock protects this from changes",
        "Ask the owner of the resource group to remove the lock (`az lock list`), and give the same command again.",
    ),
    Rule(
        r"ReadOnlyDisabledSubscription|SubscriptionDisabled|AccountIsDisabled",
        "the subscription or the storage account is disabled",
        "Ask its owner to enable it again in Azure's portal.",
    ),
    Rule(
        r"MissingSubscriptionRegistration|SubscriptionNotRegistered|NoRegisteredProviderFound",
        "the subscription is not registered for a service that this needs",
        "Register it: `az provider register --namespace Microsoft.MachineLearningServices`, or the namespace that Azure names.",
    ),
    Rule(
        r"ForbiddenByRbac|ForbiddenByPolicy|(?i:does not have secrets \w+ permission)",
        "the account may not read the workspace's key vault",
        "Give it the role Key Vault Secrets User on the key vault, or an access policy that lists and reads secrets.",
    ),
    # ------------------------------------------------------------------------------------ capacity
    Rule(
        r"OutOfCapacity|AllocationFailed|ZonalAllocationFailed|OverconstrainedAllocationRequest|SkuNotAvailable|NotEnoughCapacity",
        "Azure has no such machines left there",
        "Choose another size of machines or another region, or give the same command later.",
    ),
    Rule(r"(?i:quota)", "the subscription's quota is used up", _QUOTA),
    # ------------------------------------------------------------------------------------ what is not there
    Rule(
        r"ResourceGroupNotFound|ParentResourceNotFound|WorkspaceNotFound|(?i:workspaces/[^/'\" ]+' under resource group)",
        "there is no such workspace",
        _WORKSPACE,
    ),
)

ROLES = (
    (r"Microsoft\.MachineLearningServices/workspaces/computes/(?!read|.*/read)", "AzureML Compute Operator"),
    (r"Microsoft\.MachineLearningServices/registries/", "AzureML Registry User"),
    (r"Microsoft\.MachineLearningServices/workspaces/(write|delete)$", "Contributor"),
    (r"Microsoft\.MachineLearningServices/", "AzureML Data Scientist"),
    (r"Microsoft\.Storage/storageAccounts/(blobServices|fileServices)/", "Storage Blob Data Contributor"),
    (r"Microsoft\.Storage/storageAccounts/listKeys/", "Storage Account Key Operator Service Role"),
    (r"Microsoft\.KeyVault/", "Key Vault Secrets User"),
    (r"Microsoft\.ContainerRegistry/", "AcrPush"),
    (r"Microsoft\.Authorization/", "User Access Administrator"),
    (r"/read$", "Reader"),
    (r"", "Contributor"),
)
"""The role that allows an action of Azure Resource Manager: the first that fits. Source: Microsoft, "Azure built-in roles"."""
