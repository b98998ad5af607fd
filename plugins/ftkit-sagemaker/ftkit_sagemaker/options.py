"""The options of the deployer `sagemaker`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ftkit.serving.limits import ServerOptions

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""Names of endpoints and variants. Source: Amazon SageMaker API Reference, CreateEndpoint and ProductionVariant."""
LONGEST_REQUEST = 60
"""Seconds within which SageMaker wants an answer of a container. Source: Amazon SageMaker, "Use your own inference code"."""


@dataclass(frozen=True, kw_only=True)
class SageMakerOptions(ServerOptions):
    """What a recipe lets the deployer choose."""

    endpoint: str
    """Name of the endpoint in its account and region: up to 63 letters, digits and hyphens."""
    image: str
    """Image in ECR with ftkit, ftkit-sagemaker and the backbone's plugin, as `ftkit export RUN --for sagemaker` describes it."""
    role: str
    """ARN of the role that SageMaker takes on to pull the image and to read the model."""
    bucket: str
    """S3 bucket for models, in the endpoint's region."""
    prefix: str = "ftkit"
    """Beginning of the keys of models in the bucket."""
    region: str = ""
    """Region of the endpoint, such as eu-central-1; by default that of the AWS configuration."""
    profile: str = ""
    """Profile of the AWS configuration to sign in with; by default boto3 looks where it always does."""
    instance_type: str = "ml.m5.large"
    """Type of the machines."""
    instance_count: int = 1
    """Machines of each deployment."""
    startup_timeout: int = 600
    """Seconds that a container may take from its start until it answers /ping, from 60 to 3600."""
    download_timeout: int = 600
    """Seconds that a machine may take to fetch the model, from 60 to 3600."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of all that is created."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    """Further variables of a deployment's process, such as FTKIT_DRIFT_WINDOW. No place for secrets: a recipe goes into every bundle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.endpoint, "endpoint")
        for option, pattern, example in (
            ("image", r"[A-Za-z0-9][\w.:/@-]*[A-Za-z0-9]", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ftkit:1"),
            ("role", r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", "arn:aws:iam::123456789012:role/ftkit"),
            ("bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "my-models"),
            ("prefix", r"[\w-][\w./-]*", "ftkit"),
            ("region", r"|[a-z]{2}(-[a-z]+)+-\d", "eu-central-1"),
            ("instance_type", r"ml\.[a-z0-9-]+\.[a-z0-9-]+", "ml.m5.large"),
        ):
            if not re.fullmatch(pattern, getattr(self, option)):
                raise ValueError(f"{option} must look like {example!r}, not {getattr(self, option)!r}")
        if self.instance_count < 1:
            raise ValueError("instance_count must be at least 1")
        for option in ("startup_timeout", "download_timeout"):
            if not 60 <= getattr(self, option) <= 3600:
                raise ValueError(f"{option} must be from 60 to 3600 seconds, which are SageMaker's limits")


def check_name(name: str, what: str) -> None:
    """Raises: ValueError for a name that SageMaker would not take."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{what} must be at most 63 letters, digits and hyphens, with no hyphen first or last, not {name!r}"
        )
