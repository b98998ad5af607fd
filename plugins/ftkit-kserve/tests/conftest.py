"""A cluster on this machine for the tests of a module, with small plugins installed wherever deployments are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from ftkit.testing import toys

if TYPE_CHECKING:
    from ftkit_kserve.deployer import KServe

    from tests.kserve.loopback import Loopback


@pytest.fixture
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    pytest.importorskip("kubernetes")
    from tests.kserve.loopback import cluster

    folder = tmp_path_factory.mktemp("kserve")
    with toys.install(folder / "plugins"), cluster(folder) as loopback:
        yield loopback


@pytest.fixture
def endpoints(kserve: Loopback) -> Callable[..., KServe]:
    """Makes deployers on the cluster."""
    from ftkit_kserve.deployer import KServe

    def make(endpoint: str = "kit", **options: object) -> KServe:
        return KServe(endpoint=endpoint, **{**kserve.options, **options})

    return make
