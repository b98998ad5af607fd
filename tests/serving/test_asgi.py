"""The HTTP interface over a real bundle: health from the start, answers once it is loaded, reasons when it is not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.monitoring import BUNDLE_HASH
from ftkit.serving.asgi import application
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("app")
    with toys.install(folder / "plugins"):
        yield toy_bundle(folder / "bundle")


def wait_until_ready(client: TestClient, state: str = "ready") -> dict[str, Any]:
    ends = time.monotonic() + 20
    while (body := client.get("/readyz").json())["status"] != state:
        assert body["status"] == "starting", body
        assert time.monotonic() < ends, body
        time.sleep(0.01)
    return body


@pytest.fixture
def client(bundle: Bundle) -> Iterator[TestClient]:
    with TestClient(application(ModelHost(bundle.folder, Limits(rows=50, size=100_000, batch=8)))) as client:
        wait_until_ready(client)
        yield client


def test_answers_are_labels_in_the_order_of_the_texts(client: TestClient, bundle: Bundle) -> None:
    answer = client.post("/score", json={"data": [{"text": GOOD}, {"text": BAD}, {"text": ""}]})
    assert answer.status_code == 200
    assert answer.json()[:2] == ["good", "bad"]
    assert len(answer.json()) == 3
    assert answer.headers["x-ftkit-bundle"] == bundle.hash
    assert "model;dur=" in answer.headers["server-timing"]


def test_scores_are_those_of_the_bundle(client: TestClient, bundle: Bundle) -> None:
    texts = [GOOD, BAD, "neither here nor there", ""]
    body = {"data": [{"text": text} for text in texts], "scores": True}
    answer = client.post("/score", json=body).json()
    for row, expected in zip(answer, bundle.probabilities(texts), strict=True):
        assert row["scores"] == pytest.approx(dict(zip(bundle.classes, expected, strict=True)))
        assert row["score"] == max(row["scores"].values())
        assert row["label"] == max(row["scores"], key=row["scores"].__getitem__)


def test_no_texts_get_no_answers(client: TestClient) -> None:
    assert client.post("/score", json={"data": []}).json() == []


def test_half_characters_are_answered(client: TestClient) -> None:
    answer = client.post("/score", content=rb'{"data": [{"text": "\ud83d perfect \udc00"}]}')
    assert answer.status_code == 200
    assert len(answer.json()) == 1


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, "body"),
        (b'{"data": [{"text": "a"}, {}]}', 422, "data[1].text"),
        (b"x" * 100_001, 413, "body"),
        (json.dumps({"data": [{"text": "a"}] * 51}).encode(), 413, "data"),
    ],
)
def test_an_answer_to_a_bad_request_says_where_the_mistake_is_and_how_to_repair_it(
    client: TestClient, body: bytes, status: int, where: str
) -> None:
    answer = client.post("/score", content=body)
    assert answer.status_code == status
    failure = answer.json()
    assert failure["where"] == where
    assert failure["error"]
    assert failure["hint"]


def test_a_body_without_a_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    answer = client.post("/score", content=(b"x" * 1000 for _ in range(1000)))
    assert answer.status_code == 413


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/score", 405), ("POST", "/nowhere", 404)])
def test_the_answer_to_a_wrong_address_names_the_right_one(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert "POST /score" in answer.json()["hint"]


def test_the_model_is_described(client: TestClient, bundle: Bundle) -> None:
    model = client.get("/model").json()
    assert model["classes"] == ["bad", "good"]
    assert model["hash"] == bundle.hash
    assert "files" not in model


def test_the_docs_page_needs_nothing_from_the_internet(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/static-offline-docs/{name}").status_code == 200


def test_the_openapi_document_describes_requests_answers_and_refusals(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/score"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["data"]["items"] == {"$ref": "#/components/schemas/Row"}
    assert document["components"]["schemas"]["Row"]["properties"]["text"]["type"] == "string"
    assert {"200", "400", "413", "422", "429", "503"} <= set(operation["responses"])
    references = json.dumps(document).split('"$ref": "#/components/schemas/')[1:]
    assert {each.split('"')[0] for each in references} <= set(document["components"]["schemas"])


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/pre/score", 405), ("POST", "/pre/score", 200)])
def test_below_the_path_of_a_proxy_everything_is_where_the_document_says(
    client: TestClient, method: str, path: str, status: int
) -> None:
    below = TestClient(client.app, root_path="/pre")
    assert below.get("/pre/openapi.json").json()["servers"] == [{"url": "/pre"}]
    assert "/pre/static-offline-docs/swagger-ui.css" in below.get("/pre/docs").text
    assert below.get("/pre/static-offline-docs/swagger-ui.css").status_code == 200
    answer = below.request(method, path, content=b'{"data": []}')
    assert answer.status_code == status
    assert status == 200 or "POST /pre/score" in answer.json()["hint"]


def test_until_the_model_is_loaded_requests_are_refused_with_503(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go = threading.Event(), threading.Event()

    def load(self: object, folder: Path) -> object:
        loading.set()
        assert go.wait(10)
        return real(self, folder)  # type: ignore[arg-type]

    real = toys.ToyWords.load
    monkeypatch.setattr(toys.ToyWords, "load", load)
    with TestClient(application(ModelHost(bundle.folder))) as client:
        assert loading.wait(10)
        assert client.get("/healthz").status_code == 200
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["status"]) == (503, "starting")
        assert "loaded" in unready.json()["reason"]
        refused = client.post("/score", json={"data": [{"text": "a"}]})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        go.set()
        wait_until_ready(client)
        assert client.get("/readyz").status_code == 200


def test_a_damaged_bundle_is_never_served(bundle: Bundle, tmp_path: Path) -> None:
    damaged = toy_bundle(tmp_path / "bundle")
    weights = damaged.folder / "model" / "weights.npy"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with TestClient(application(ModelHost(damaged.folder))) as client:
        status = wait_until_ready(client, "failed")
        assert "changed since it was written: model/weights.npy" in status["reason"]
        assert client.get("/healthz").status_code == 200
        assert client.post("/score", json={"data": [{"text": "a"}]}).status_code == 503


def test_another_bundle_in_the_place_of_the_deployment_s_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUNDLE_HASH, "0" * 64)
    with TestClient(application(ModelHost(bundle.folder))) as client:
        assert "another bundle than the deployment's" in wait_until_ready(client, "failed")["reason"]
        assert client.post("/score", json={"data": [{"text": "a"}]}).status_code == 503
    monkeypatch.setenv(BUNDLE_HASH, bundle.hash)
    with TestClient(application(ModelHost(bundle.folder))) as client:
        wait_until_ready(client)


def test_a_model_that_fails_on_a_request_answers_the_next(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def probabilities(self: object, texts: Sequence[str]) -> Any:
        if "poison" in texts:
            raise RuntimeError("cannot read this")
        return real(self, texts)  # type: ignore[arg-type]

    real = toys.ToyClassifier.probabilities
    monkeypatch.setattr(toys.ToyClassifier, "probabilities", probabilities)
    with TestClient(client.app, raise_server_exceptions=False) as unraised:
        wait_until_ready(unraised)
        failed = unraised.post("/score", json={"data": [{"text": "poison"}]})
        assert failed.status_code == 500
        assert "RuntimeError" in failed.json()["error"]
        assert unraised.post("/score", json={"data": [{"text": GOOD}]}).json() == ["good"]


def test_requests_beyond_the_queue_are_refused_with_429(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def probabilities(self: object, texts: Sequence[str]) -> Any:
        if "wait" in texts:
            begun.set()
            assert go.wait(10)
        return real(self, texts)  # type: ignore[arg-type]

    real = toys.ToyClassifier.probabilities
    monkeypatch.setattr(toys.ToyClassifier, "probabilities", probabilities)
    host = ModelHost(bundle.folder, Limits(batch=1, waiting=2))
    with TestClient(application(host)) as client, ThreadPoolExecutor(2) as callers:
        wait_until_ready(client)
        held = callers.submit(client.post, "/score", json={"data": [{"text": "wait"}]})
        assert begun.wait(10)
        batcher, _ = host.ready()
        queued = batcher.submit([GOOD, GOOD])
        refused = client.post("/score", json={"data": [{"text": GOOD}]})
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        go.set()
        assert held.result(10).status_code == 200
        assert len(queued.result(10).probabilities) == 2
