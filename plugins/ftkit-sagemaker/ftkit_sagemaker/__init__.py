"""Amazon SageMaker for ftkit: real-time endpoints whose production variants are deployments.

options     what a recipe lets the deployer choose
session     the SDK's clients, and its exceptions as errors
refusals    what AWS answers, in words, with what helps
artifact    a bundle as model.tar.gz in S3
hosting     an endpoint as SageMaker has it
models      what a variant runs: image, bundle and variables
logs        what the containers wrote, by CloudWatch
measuring   what the variants did, by CloudWatch
serve       the program that a container runs: /ping and /invocations
image       a folder to build the container's image from, and to deploy by hand
deployer    the deployer `sagemaker`
"""

from __future__ import annotations

from ftkit import hookimpl
from ftkit_sagemaker.deployer import SageMaker

__all__ = ["SageMaker", "deployers"]


@hookimpl
def deployers() -> list[type]:
    """The deployer `sagemaker`."""
    return [SageMaker]
