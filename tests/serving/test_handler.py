"""One request, one answer: the same bytes in a thread of the caller's as through the ASGI application."""

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
        made = ModelHost(toy_bundle(tmp_path / "bundle").folder, Limits(rows=3, size=2000))
        made.load()
        yield made
        made.close()


@pytest.mark.parametrize("body", BODIES)
def test_the_bytes_are_those_of_the_application(host: ModelHost, body: bytes) -> None:
    from starlette.testclient import TestClient

    over = TestClient(application(host)).post("/score", content=body)
    here = respond(host, body, {"Content-Type": "application/json"})
    assert (here.status, here.body) == (over.status_code, over.content)
    assert here.headers.get("X-Ftkit-Bundle") == over.headers.get("x-ftkit-bundle")


def test_a_host_that_is_not_ready_says_so(tmp_path: Path) -> None:
    reply = respond(ModelHost(tmp_path), BODIES[0], {})
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "1"


def test_a_model_that_fails_is_an_answer_and_no_exception(host: ModelHost, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.batcher is not None

    def fails(_: object) -> None:
        raise RuntimeError("told to fail")

    monkeypatch.setattr(host.batcher, "submit", fails)
    reply = respond(host, BODIES[0], {})
    assert reply.status == 500
    assert b"RuntimeError" in reply.body
    assert b"told to fail" not in reply.body, "callers are told nothing of the inside"


def test_a_bundle_that_cannot_be_loaded_leaves_its_reason(tmp_path: Path) -> None:
    host = ModelHost(tmp_path)
    host.load()
    assert host.status.state == "failed"
    assert "manifest.json" in host.status.reason
