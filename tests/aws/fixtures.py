"""AWS on this machine, for this process and those it starts; used by the tests of ftkit-sagemaker and of all targets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.aws.aws import Aws


@contextmanager
def loopback(folder: Path) -> Iterator[Aws]:
    """AWS with the environment variables of somebody who is signed in, and a deployer that looks twenty times a second."""
    pytest.importorskip("boto3")
    pytest.importorskip("moto")
    from ftkit_sagemaker import SageMaker, session

    from tests.aws.aws import Aws

    aws = Aws(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            patch.delenv(name, raising=False)
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        patch.setattr(SageMaker, "poll", 0.05)
        session.forget()
        try:
            yield aws
            aws.clear()
        finally:
            aws.close()
            session.forget()
