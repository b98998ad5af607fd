"""What a variant runs: a model of SageMaker, which names image, bundle and variables."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
from ftkit_sagemaker import refusals
from ftkit_sagemaker.hosting import IDLE, TAG, Variant, existing, slug, tagged
from ftkit_sagemaker.options import SageMakerOptions


def variant(options: SageMakerOptions, deployment: str, alone: bool) -> Variant:
    """A deployment without traffic as an endpoint configuration describes it; `alone` says that there is no other."""
    return {
        "VariantName": deployment,
        "ModelName": slug(options.endpoint, deployment),
        "InitialInstanceCount": options.instance_count,
        "InstanceType": options.instance_type,
        "InitialVariantWeight": IDLE if alone else 0.0,
        "ModelDataDownloadTimeoutInSeconds": options.download_timeout,
        "ContainerStartupHealthCheckTimeoutInSeconds": options.startup_timeout,
    }


def make(sagemaker: Any, options: SageMakerOptions, deployment: str, bundle: Bundle, place: str) -> None:
    """Make the model of a deployment, in the place of one that an interrupted run left; its archive is at `place` in S3.

    Raises: what the SDK raises.
    """
    from botocore.exceptions import ClientError

    name = slug(options.endpoint, deployment)
    container = {
        "Image": options.image,
        "ModelDataUrl": place,
        "Environment": {
            **options.environment_variables,
            ENDPOINT: options.endpoint,
            DEPLOYMENT: deployment,
            BUNDLE_HASH: bundle.hash,
            "FTKIT_ENGINE": options.engine,
            "FTKIT_LIMITS": json.dumps(asdict(options.limits)),
            "HF_HUB_OFFLINE": "1",
        },
    }
    delete(sagemaker, name)
    try:
        sagemaker.create_model(
            ModelName=name,
            PrimaryContainer=container,
            ExecutionRoleArn=options.role,
            Tags=tagged({TAG: "", **options.tags}),
        )
    except ClientError as error:
        if not refusals.is_taken(error):  # it was deleted just now: an answer was lost
            raise


def delete(sagemaker: Any, name: str) -> None:
    """Delete a model; one that is gone already is fine."""
    existing(lambda: sagemaker.delete_model(ModelName=name))


def existing_model(sagemaker: Any, endpoint: str, deployment: str) -> dict[str, Any] | None:
    """The model of a deployment, or None."""
    return existing(lambda: sagemaker.describe_model(ModelName=slug(endpoint, deployment)))


def bundle_hash(sagemaker: Any, endpoint: str, deployment: str) -> str:
    """The hash of the bundle that a deployment serves; empty where it is not known."""
    model = existing_model(sagemaker, endpoint, deployment)
    return str(model["PrimaryContainer"].get("Environment", {}).get(BUNDLE_HASH, "")) if model else ""
