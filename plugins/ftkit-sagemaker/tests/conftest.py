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


@pytest.fixture(scope="module")
def aws_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One AWS for the tests of a module: the SDK's clients take longer to make than most tests."""
    from tests.aws.fixtures import loopback

    with loopback(tmp_path_factory.mktemp("aws")) as cloud:
        yield cloud


@pytest.fixture
def aws(aws_of_module: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """AWS with a bucket and nothing else, the toys' plugin installed here and in containers.

    The test fails at its end when something was deleted that was in use.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with toys.install(tmp_path / "plugins"):
        yield aws_of_module
        aws_of_module.clear()


@pytest.fixture
def sagemaker(aws: Aws) -> Callable[..., SageMaker]:
    """Makes deployers."""
    from ftkit_sagemaker import SageMaker

    from tests.aws.aws import OPTIONS

    def make(endpoint: str = "kit-endpoint", **options: object) -> SageMaker:
        return SageMaker(endpoint=endpoint, **{**OPTIONS, **options})  # type: ignore[arg-type]  # strings all

    return make
