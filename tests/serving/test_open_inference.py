"""The Open Inference Protocol beside /score: the same answers as tensors, mistakes by their place in the protocol's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ftkit.bundle.bundle import Bundle
from ftkit.serving.asgi import application
from ftkit.serving.handler import json_reply
from ftkit.serving.http_api import http_api, read_body
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

INFER = "/v2/models/kit/infer"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("inference")
    with toys.install(folder / "plugins"):
        yield toy_bundle(folder / "bundle")


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[TestClient]:
    host = ModelHost(bundle.folder, Limits(rows=50, size=100_000, batch=8))
    host.load()
    host.start = lambda: None  # type: ignore[method-assign]  # it is loaded already
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_ENDPOINT", "kit")
        app = application(host, key="secret")
    with TestClient(app, headers={"Authorization": "Bearer secret"}) as client:
        yield client


def texts(*data: Any, **changes: Any) -> dict[str, Any]:
    """A request with one tensor."""
    return {"inputs": [{"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": data, **changes}]}


def test_the_answer_is_that_of_score_as_tensors(client: TestClient, bundle: Bundle) -> None:
    scored = client.post("/score", json={"data": [{"text": GOOD}, {"text": BAD}], "scores": True}).json()
    answer = client.post(INFER, json={"id": "42", **texts(GOOD, BAD)})
    assert answer.status_code == 200
    assert answer.headers["x-ftkit-bundle"] == bundle.hash
    body = answer.json()
    assert (body["model_name"], body["id"]) == ("kit", "42")
    tensors = {each["name"]: each for each in body["outputs"]}
    assert tensors["label"] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["good", "bad"]}
    assert tensors["score"] == {
        "name": "score",
        "datatype": "FP64",
        "shape": [2],
        "data": [row["score"] for row in scored],
    }
    assert tensors["classes"]["data"] == ["bad", "good"]
    assert tensors["probabilities"]["shape"] == [2, 2]
    assert tensors["probabilities"]["data"] == [score for row in scored for score in row["scores"].values()]


def test_a_column_of_texts_and_chosen_outputs(client: TestClient) -> None:
    request = {**texts([GOOD], [BAD], shape=[2, 1]), "outputs": [{"name": "score"}, {"name": "label"}]}
    outputs = client.post(INFER, json=request).json()["outputs"]
    assert [each["name"] for each in outputs] == ["score", "label"]
    assert outputs[1]["data"] == ["good", "bad"]
    flat = client.post(INFER, json=texts(GOOD, BAD, shape=[2, 1])).json()
    assert flat["outputs"][0]["data"] == ["good", "bad"]


def test_server_and_model_say_what_they_are(client: TestClient) -> None:
    assert client.get("/v2").json()["name"] == "ftkit"
    assert client.get("/v2/models").json() == {"models": ["kit"]}
    model = client.get("/v2/models/kit").json()
    assert model["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    shapes = {each["name"]: each["shape"] for each in model["outputs"]}
    assert shapes == {"label": [-1], "score": [-1], "probabilities": [-1, 2], "classes": [2]}
    answered = {each["name"]: each for each in client.post(INFER, json=texts(GOOD)).json()["outputs"]}
    for output in model["outputs"]:
        assert answered[output["name"]]["datatype"] == output["datatype"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/kit/ready", {"name": "kit", "ready": True}),
    ],
)
def test_health_needs_no_key(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = TestClient(client.app).get(path)
    assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2/models"), ("GET", "/v2/models/kit"), ("POST", INFER)])
def test_the_model_needs_the_key(client: TestClient, method: str, path: str) -> None:
    answer = TestClient(client.app).request(method, path, json=texts(GOOD))
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "the body: "),
        ({"inputs": []}, 400, "the inputs are none (inputs). The model reads text."),
        (texts(GOOD, name="input-0"), 400, "the inputs are input-0"),
        (texts(GOOD, datatype="FP32"), 400, "the type is 'FP32' (inputs[0].datatype)"),
        (texts(GOOD, shape=[2]), 400, "1 elements in a tensor of shape [2] (inputs[0].data)"),
        (texts(GOOD, shape=[1, 2]), 400, "inputs[0].shape"),
        (texts(), 400, "the shape is [0]"),
        (texts(GOOD, 3), 400, "the element is a number (inputs[0].data[1])"),
        (texts(GOOD, shape=["x"]), 400, "inputs[0].shape[0]"),
        ({**texts(GOOD), "outputs": [{"name": "logits"}]}, 400, "no output 'logits' (outputs[0].name)"),
        (texts(*["a"] * 51), 413, "51 rows"),
        (b"x" * 100_001, 413, "larger than"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(client: TestClient, body: Any, status: int, what: str) -> None:
    answer = client.post(INFER, content=body if isinstance(body, bytes) else json.dumps(body).encode())
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert what in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v2/models/other/infer", 404), ("GET", INFER, 405), ("GET", "/v2/nowhere", 404)],
)
def test_a_wrong_address_is_an_error_of_the_protocol(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path, json=texts(GOOD))
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_tensors_as_bytes_are_refused_with_the_way_out(client: TestClient) -> None:
    answer = client.post(INFER, content=b"{}\x00", headers={"Inference-Header-Content-Length": "2"})
    assert answer.status_code == 415
    assert "binary_data=False" in answer.json()["error"]


def test_a_server_that_is_not_ready_says_so(tmp_path: Path) -> None:
    with TestClient(application(ModelHost(tmp_path / "nothing"))) as client:
        assert client.get("/v2/health/live").status_code == 200
        for path in ("/v2/health/ready", "/v2/models/model/ready"):
            answer = client.get(path)
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
        assert client.post("/v2/models/model/infer", json=texts(GOOD)).status_code == 503


@pytest.mark.parametrize(
    ("answered", "label"),
    [(["late", "rude"], '["late", "rude"]'), ([], "[]"), (None, "")],
    ids=["several labels", "no label", "unsure"],
)
def test_labels_of_every_task_fit_into_a_tensor_of_texts(answered: Any, label: str) -> None:
    """Through a front of any kind: it passes on the body that `read_body` gives it."""
    bodies = []

    async def score(request: Any) -> Any:
        bodies.append(json.loads(await read_body(request, Limits())))
        return json_reply([{"label": answered, "score": 0.5, "scores": {"late": 0.5, "rude": 0.5}}])

    async def model(_: Any) -> Any:
        return json_reply({"classes": ["late", "rude"], "fields": ["title", "text"]})

    pair = [{**texts("a")["inputs"][0], "name": name} for name in ("text", "title")]
    app = http_api("front", score=score, model=model, ready=model, fields=lambda: ("title", "text"))
    client = TestClient(app)
    answer = client.post("/v2/models/front/infer", json={"inputs": pair})
    assert answer.json()["outputs"][0]["data"] == [label]
    assert bodies == [{"data": [{"text": "a", "title": "a"}], "scores": True}]
    assert [each["name"] for each in client.get("/v2/models/front").json()["inputs"]] == ["title", "text"]
    pair[0]["data"], pair[0]["shape"] = ["a", "b"], [2]
    assert "not of one length" in client.post("/v2/models/front/infer", json={"inputs": pair}).json()["error"]


def test_the_openapi_document_has_the_protocol(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    infer = document["paths"][INFER]["post"]
    assert infer["security"]
    assert {"200", "400", "401", "413", "429", "503"} <= set(infer["responses"])
    references = json.dumps(document).split('"$ref": "#/components/schemas/')[1:]
    assert {each.split('"')[0] for each in references} <= set(document["components"]["schemas"])
