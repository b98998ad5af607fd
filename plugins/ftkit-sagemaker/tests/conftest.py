"""What every test of this plugin has: AWS on this machine, and small plugins where its containers run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftkit.testing import toys

if TYPE_CHECKING:
    from ftkit_sagemaker import SageMaker

    from tests.aws.aws import Aws


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """AWS with a bucket, the toys' plugin installed here and in containers."""
    from tests.aws.fixtures import loopback

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with toys.install(tmp_path / "plugins"), loopback(tmp_path / "aws", monkeypatch) as cloud:
        yield cloud


@pytest.fixture
def sagemaker(aws: Aws) -> Callable[..., SageMaker]:
    """Makes deployers."""
    from ftkit_sagemaker import SageMaker

    from tests.aws.aws import OPTIONS

    def make(endpoint: str = "kit-endpoint", **options: object) -> SageMaker:
        return SageMaker(endpoint=endpoint, **{**OPTIONS, **options})  # type: ignore[arg-type]  # strings all

    return make
