"""The fixture `azure`: a loopback Azure for this process and those it starts, in place of the real one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.azure.azure import Azure

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("FTKIT_SHARED") or REPOSITORY.parent / "shared")
SCHEMAS = SHARED / "azure" / "ml-schemas.tar.xz"
SCORING = Path(os.environ.get("FTKIT_SCORING_PYTHON") or REPOSITORY / ".venv-scoring" / "bin" / "python")


@pytest.fixture
def azure(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """Azure with the services of both SDKs, and the environment variables of a valid service principal.

    Bodies are compared with Microsoft's schemas where the shared test data are available; `azure_schemas` requires them.
    A test that deploys uses `azure_scoring`. The test fails at its end when a call got no answer, a foreign host was
    called, or a body violates Microsoft's schema.
    """
    pytest.importorskip("cryptography")
    from tests.azure import identity
    from tests.azure.azure import Azure

    home = tmp_path_factory.mktemp("azure-home")
    cloud = Azure(tmp_path_factory.mktemp("azure"), SCORING, SCHEMAS if SCHEMAS.is_file() else None)
    for name, value in {**cloud.environment, **identity.ENVIRONMENT, "HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    guard(monkeypatch, cloud)
    try:
        yield cloud
    finally:
        cloud.close()
    assert not cloud.complaints, "the loopback Azure complains:\n" + "\n".join(cloud.complaints)


@pytest.fixture
def azure_schemas(azure: Azure) -> Azure:
    """Azure that compares bodies with Microsoft's schemas; without the shared test data the test is skipped."""
    if azure.schemas is None:
        pytest.skip("needs Microsoft's schemas from the shared test data: set FTKIT_SHARED to its folder")
    return azure


@pytest.fixture
def azure_scoring(azure: Azure) -> Azure:
    """Azure that serves deployments with real servers; without azureml-inference-server-http the test is skipped."""
    require_scoring()
    return azure


def require_scoring() -> Path:
    """The interpreter of an environment with azureml-inference-server-http; skips the test where there is none."""
    if not SCORING.is_file():
        pytest.skip("needs azureml-inference-server-http in an environment of its own: set FTKIT_SCORING_PYTHON")
    return SCORING


def guard(monkeypatch: pytest.MonkeyPatch, cloud: Azure) -> None:
    """Let no code of this process resolve a host name without the proxy."""
    find = socket.getaddrinfo

    def find_here(host: Any, *rest: Any, **settings: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()):
            cloud.complain(f"the proxy was bypassed: {name}")
            raise socket.gaierror(socket.EAI_NONAME, f"tests reach no host outside: {name}")
        return find(host, *rest, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", find_here)


@pytest.fixture
def azure_folder(azure: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the workspace's config.json in it."""
    import json

    from tests.azure.workspace import CONFIG

    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path
