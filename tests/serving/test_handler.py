"""A request is answered with the same bytes in the caller's thread and through the ASGI application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ftkit.serving.asgi import application
from ftkit.serving.handler import respond
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle

BODIES = [
    b'{"data": [{"text": "' + GOOD.encode() + b'"}]}',
    b'{"data": [{"text": "broke"}, {"text": "quiet"}], "scores": true}',
    b'{"data": []}',
    b'{"data": [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "d"}]}',
    b'{"data": [{"txt": "a"}]}',
    b'{"data": 7}',
    b"no json",
    b"x" * 3000,
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ModelHost]:
    with toys.install(tmp_path / "plugins"):
        host = ModelHost(toy_bundle(tmp_path / "bundle").folder, Limits(rows=3, size=2000))
        host.load()
        yield host
        host.close()


@pytest.mark.parametrize("body", BODIES)
def test_the_bytes_are_those_of_the_application(host: ModelHost, body: bytes) -> None:
    from starlette.testclient import TestClient

    response = TestClient(application(host)).post("/score", content=body)
    reply = respond(host, body, {"Content-Type": "application/json"})
    assert (reply.status, reply.body) == (response.status_code, response.content)
    assert reply.headers.get("X-Ftkit-Bundle") == response.headers.get("x-ftkit-bundle")


def test_a_host_without_a_model_refuses_requests_with_503(tmp_path: Path) -> None:
    reply = respond(ModelHost(tmp_path), BODIES[0], {})
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "1"


def test_a_model_that_fails_is_an_answer_and_no_exception(host: ModelHost, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.batcher is not None

    def fails(_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(host.batcher, "submit", fails)
    reply = respond(host, BODIES[0], {})
    assert reply.status == 500
    assert b"RuntimeError" in reply.body
    assert b"secret" not in reply.body, "callers learn nothing of the inside"


def test_a_bundle_that_cannot_be_loaded_leaves_its_reason(tmp_path: Path) -> None:
    host = ModelHost(tmp_path)
    host.load()
    assert host.status.state == "failed"
    assert "manifest.json" in host.status.reason
