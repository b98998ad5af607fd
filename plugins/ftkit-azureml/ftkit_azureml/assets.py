"""Models and environments of a workspace: created once, and found again by their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ftkit_azure import refusals

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.errors import BundleError
from ftkit_azureml.scoring import Environment

ENVIRONMENT = "ftkit-serving"
BUNDLE = "ftkit.bundle"
"""Tag of a model or a deployment with the hash of its bundle."""
RECORD = "ftkit.record"
"""Tag with the digest of the promotion record that lies beside a model."""

Asset = TypeVar("Asset")


def existing(get: Callable[[], Asset]) -> Asset | None:
    """What a call of the SDK returns, or None when Azure says that it does not exist; a workspace that does not exist is an error."""
    try:
        return get()
    except Exception as error:
        if refusals.is_missing(error):
            return None
        raise


def newest(versions: Iterable[Any]) -> int:
    """The highest version by number; 0 where there is none."""
    return max((int(each.version) for each in versions if each.version.isdigit()), default=0)


def record_digest(bundle: Bundle) -> str:
    """The digest of a bundle's promotion record; empty where it has none."""
    return bundle.record.digest if bundle.record else ""


def model(azure: Any, bundle: Bundle) -> str:
    """The bundle as a model of the workspace, uploaded unless it exists: its id.

    Raises: BundleError when it was changed while it was uploaded; that model is not used again.
    """
    from azure.ai.ml.entities import Model

    name, digest = f"ftkit-{bundle.hash[:16]}", record_digest(bundle)
    for version in versions(azure, name):
        if (version.tags or {}).get(RECORD) == digest:
            return str(version.id)
    uploaded = azure.models.create_or_update(
        Model(
            name=name,
            path=str(bundle.folder),
            type="custom_model",
            description="A bundle of ftkit, as it was deployed.",
            tags={BUNDLE: bundle.hash},
        )
    )
    if bundles.verify(bundle.folder).hash != bundle.hash:
        raise BundleError("the bundle was changed while it was uploaded: manifest.json", str(bundle.folder))
    uploaded.tags = {**(uploaded.tags or {}), RECORD: digest}  # only now is it found again
    azure.models.create_or_update(uploaded)
    return str(uploaded.id)


def versions(azure: Any, name: str) -> list[Any]:
    """All versions of a model, newest first."""
    listed = existing(lambda: list(azure.models.list(name))) or []
    return sorted(listed, key=lambda each: int(each.version) if each.version.isdigit() else -1, reverse=True)


def environment(azure: Any, wanted: Environment, name: str = ENVIRONMENT) -> str:
    """The environment in the workspace, created unless it exists: its id."""
    from azure.ai.ml import entities

    registered = existing(lambda: azure.environments.get(name, version=wanted.version))
    if registered is None:
        import yaml

        registered = azure.environments.create_or_update(
            entities.Environment(
                name=name,
                version=wanted.version,
                image=wanted.image,
                conda_file=yaml.safe_load(wanted.conda),
                description="What ftkit needs, by exact version.",
            )
        )
    return str(registered.id)
