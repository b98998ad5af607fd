"""What Azure refuses is explained in the same words by every component and by both SDKs, unmodified, on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftkit.errors import StageError
from ftkit.recipe import loader
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle
from ftkit.testing.registries import make_lineage
from tests.azure.faults import sign_in_refused, storage_refused
from tests.azure.messages import Response, refusal

if TYPE_CHECKING:
    from tests.azure.azure import Azure

pytest.importorskip("azure.ai.ml")
pytest.importorskip("azureml.core")

LOGIN = r"login\.microsoftonline\.com/.*/token"
WORKSPACE = r"management\.azure\.com/.*/workspaces/ftkit-workspace"
BLOBS = r"blob\.core\.windows\.net/"

DENIED = (
    "The client 'x' with object id 'y' does not have authorization to perform action "
    "'Microsoft.MachineLearningServices/workspaces/read' over scope '/subscriptions/s/resourceGroups/g' or the scope is invalid."
)

SIGN_IN = [
    (sign_in_refused(7000222, "The provided client secret keys are expired."), "secret has expired", "new secret"),
    (sign_in_refused(7000215, "Invalid client secret provided."), "secret is wrong", "not its id"),
    (sign_in_refused(700016, "Application was not found in the directory."), "tenant does not know", "AZURE_TENANT_ID"),
    (
        sign_in_refused(53003, "Access has been blocked by Conditional Access policies."),
        "rule of the tenant",
        "az login",
    ),
]
MANAGEMENT = [
    (refusal(403, "AuthorizationFailed", DENIED), "does not allow this", "AzureML Data Scientist on /subscriptions/s"),
    (
        refusal(401, "InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer."),
        "another tenant",
        "AZURE_TENANT_ID",
    ),
    (refusal(403, "RequestDisallowedByPolicy", "Resource was disallowed by policy."), "policy of the", "exemption"),
    (refusal(409, "ScopeLocked", "The following scope(s) are locked."), "lock protects", "remove the lock"),
    (refusal(403, "Forbidden", "Public network access is disabled."), "network rules", "virtual network"),
    (refusal(403, "Forbidden", "Client IP '20.1.2.3' not in allowlist."), "network rules", "address"),
    (refusal(403, "ReadOnlyDisabledSubscription", "The subscription is disabled."), "is disabled", "enable it"),
    (refusal(403, "Forbidden", "No."), "does not allow this", "network rules or policies"),
]
STORAGE = [
    (
        storage_refused(
            "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted on this storage account."
        ),
        "forbids shared keys",
        "--system-datastores-auth-mode identity",
    ),
    (
        storage_refused(
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        ),
        "may not read or write",
        "Storage Blob Data Contributor",
    ),
    (
        storage_refused("AuthorizationFailure", "This request is not authorized to perform this operation."),
        "network rules",
        "networking settings",
    ),
    (
        storage_refused("LeaseIdMissing", "There is currently a lease on the blob.", 412),
        "holds a lease",
        "same command",
    ),
]


def hyperdrive() -> None:
    from ftkit_hyperdrive import HyperDrive, workspace

    workspace.connect(HyperDrive())


def azureml() -> None:
    from ftkit_azureml import AzurePipelines
    from ftkit_azureml.pipeline import SweepPipeline

    SweepPipeline.connect(AzurePipelines(), toys.plan(Path.cwd()), lambda _: None)


def registry() -> None:
    from ftkit_azureml import AzureModels

    AzureModels(model="reviews").champion()


def deployer() -> None:
    from ftkit_azureml import ManagedEndpoint

    ManagedEndpoint(endpoint="reviews").describe()


OPENING = (hyperdrive, azureml, registry, deployer)
"""What every component does first."""


def registering() -> None:
    from ftkit_azureml import AzureModels

    bundle = toy_bundle(Path("bundle").absolute())
    AzureModels(model="reviews").register(bundle.folder, make_lineage(bundle))


def deploying() -> None:
    from ftkit_azureml import ManagedEndpoint

    ManagedEndpoint(endpoint="reviews").create("blue", toy_bundle(Path("bundle").absolute()).folder)


def publishing(platform: str) -> Callable[[], None]:
    def publish() -> None:
        Path("toy.toml").write_text(toys.RECIPE, encoding="utf-8")
        plan = loader.load(Path("toy.toml"), on=platform)
        plan.platform.publish(plan, lambda _: None)  # type: ignore[attr-defined]

    return publish


@pytest.fixture
def cloud(azure: Azure, azure_folder: Path) -> Iterator[Azure]:
    """Azure as every component finds it when it signs in for the first time."""
    from ftkit_azureml import client

    client.forget()
    with toys.install(azure_folder / "plugins"):
        yield azure
        azure.operations.wait()
    client.forget()


def explained(act: Callable[[], None], what: str, hint: str, secrets: list[str]) -> None:
    with pytest.raises(StageError) as refused:
        act()
    assert what in refused.value.what
    assert hint in refused.value.hint
    assert not [each for each in secrets if each in str(refused.value)]


@pytest.mark.parametrize("act", OPENING)
@pytest.mark.parametrize(("response", "what", "hint"), SIGN_IN)
def test_a_refused_sign_in(cloud: Azure, act: Callable[[], None], response: Response, what: str, hint: str) -> None:
    cloud.fail("POST", LOGIN, response, times=99)
    explained(act, what, hint, cloud.secrets)


@pytest.mark.parametrize("act", OPENING)
@pytest.mark.parametrize(("response", "what", "hint"), MANAGEMENT)
def test_a_refused_workspace(cloud: Azure, act: Callable[[], None], response: Response, what: str, hint: str) -> None:
    cloud.fail("GET", WORKSPACE, response, times=99)
    explained(act, what, hint, cloud.secrets)


@pytest.mark.parametrize("act", [registering, deploying])
@pytest.mark.parametrize(("response", "what", "hint"), STORAGE)
def test_a_refused_upload_of_a_bundle(
    cloud: Azure, act: Callable[[], None], response: Response, what: str, hint: str
) -> None:
    cloud.fail("GET|HEAD|PUT", BLOBS, response, times=999)
    explained(act, what, hint, cloud.secrets)


@pytest.mark.parametrize("platform", ["hyperdrive", "azureml"])
@pytest.mark.parametrize(("response", "what", "hint"), STORAGE[:3:2])
def test_a_refused_upload_of_a_pipeline(cloud: Azure, platform: str, response: Response, what: str, hint: str) -> None:
    cloud.fail("GET|HEAD|PUT", BLOBS, response, times=999)
    explained(publishing(platform), what, hint, cloud.secrets)
