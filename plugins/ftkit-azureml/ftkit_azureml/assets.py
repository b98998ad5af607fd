"""Models and environments of a workspace: made once, found again by what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ftkit.bundle.bundle import Bundle
from ftkit_azureml import refusals
from ftkit_azureml.scoring import Environment

ENVIRONMENT = "ftkit-serving"
RECORD = "ftkit.record"
"""Tag with the digest of the promotion record that lies beside a model."""

Found = TypeVar("Found")


def existing(get: Callable[[], Found]) -> Found | None:
    """What a call of the SDK returns, or None when Azure says that it is not there; a workspace that is not there is an error."""
    try:
        return get()
    except Exception as error:
        if refusals.is_missing(error) and not refusals.is_about_workspace(error):
            return None
        raise


def model(client: Any, bundle: Bundle) -> str:
    """The bundle as a model of the workspace, uploaded unless it is there: its id."""
    from azure.ai.ml.entities import Model

    name, record = f"ftkit-{bundle.hash[:16]}", bundle.record
    digest = record.digest if record else ""
    for each in versions(client, name):
        if (each.tags or {}).get(RECORD) == digest:
            return str(each.id)
    made = client.models.create_or_update(
        Model(
            name=name,
            path=str(bundle.folder),
            type="custom_model",
            description="A bundle of ftkit, as it was deployed.",
            tags={"ftkit.bundle": bundle.hash, RECORD: digest},
        )
    )
    return str(made.id)


def versions(client: Any, name: str) -> list[Any]:
    """All versions of a model, newest first."""
    found = existing(lambda: list(client.models.list(name))) or []
    return sorted(found, key=lambda each: int(each.version) if each.version.isdigit() else -1, reverse=True)


def environment(client: Any, wanted: Environment, name: str = ENVIRONMENT) -> str:
    """The environment in the workspace, made unless it is there: its id."""
    from azure.ai.ml import entities

    found = existing(lambda: client.environments.get(name, version=wanted.version))
    if found is None:
        import yaml

        found = client.environments.create_or_update(
            entities.Environment(
                name=name,
                version=wanted.version,
                image=wanted.image,
                conda_file=yaml.safe_load(wanted.conda),
                description="What ftkit needs, by exact version.",
            )
        )
    return str(found.id)
