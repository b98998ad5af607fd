"""Live requests to the local endpoint and to Microsoft's scoring server, at Application Insights."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from ftkit_appinsights import settings
from ftkit_local.deployer import LocalDeployer

from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle, verify
from ftkit.contracts import Endpoint
from ftkit.evaluation.prediction_profile import profile
from ftkit.testing.bundles import BAD, GOOD, toy_bundle, toy_record

BLUE, GREEN = "v3-20250101-120000", "v4-20250102-120000"
PLUGIN = Path(__file__).parents[1]


@pytest.fixture
def telemetry_bundle(telemetry_home: Path, tmp_path: Path) -> Bundle:
    """A toy bundle whose record has a profile of its predictions: half good, half bad."""
    toy = toy_bundle(tmp_path / "bundle")
    probabilities = toy.probabilities([GOOD, BAD] * 50)
    records.write(toy.folder, replace(toy_record(toy.hash), profile=profile(probabilities, toy.classes)))
    return verify(toy.folder)


@pytest.fixture
def telemetry_endpoint(telemetry_bundle: Bundle) -> Iterator[Callable[[Mapping[str, int]], Endpoint]]:
    """Brings up an endpoint whose deployments have these shares of the traffic."""
    deployer = LocalDeployer(endpoint="reviews", threads=1)

    def start(shares: Mapping[str, int]) -> Endpoint:
        deployer.prepare()
        for name in shares:
            deployer.create(name, telemetry_bundle.folder)
        for name in shares:
            ends = time.monotonic() + 90
            while (health := deployer.health(name)).state != "ready":
                assert health.state != "failed", health
                assert time.monotonic() < ends, health
                time.sleep(0.05)
        deployer.set_traffic(shares)
        endpoint = deployer.describe()
        assert endpoint
        return endpoint

    yield start
    deployer.stop()


def ask(endpoint: Endpoint, texts: list[str], trace: str = "", **also: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    if trace:
        headers["traceparent"] = f"00-{trace}-{'b' * 16}-01"
    with httpx2.Client(trust_env=False, verify=False, headers=headers, timeout=60) as client:
        return client.post(endpoint.url, json={"data": [{"text": text} for text in texts], **also})


def test_live_requests_of_both_deployments_arrive(
    telemetry_ingestion: Any, telemetry_endpoint: Any, telemetry_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTKIT_DRIFT_WINDOW", "100")
    live = telemetry_endpoint({BLUE: 50, GREEN: 50})
    traces = [secrets.token_hex(16) for _ in range(100)]
    answers = [ask(live, [GOOD], trace) for trace in traces]
    assert [each.status_code for each in answers] == [200] * 100
    assert ask(live, ["a secret about me", BAD], scores=True).status_code == 200
    assert ask(live, [], hidden="a secret about me").status_code == 422
    telemetry_ingestion.wait(lambda: len(telemetry_ingestion.requests) >= 102)

    arrived = telemetry_ingestion.requests
    assert len(arrived) == 102
    assert Counter(each["tags"]["ai.operation.id"] in traces for each in arrived) == {True: 100, False: 2}
    by_trace = {each["tags"]["ai.operation.id"]: each for each in arrived}
    for trace, answer in zip(traces, answers, strict=True):
        properties = by_trace[trace]["properties"]
        assert by_trace[trace]["tags"]["ai.operation.parentId"] == "b" * 16
        assert properties["ftkit.deployment"] == answer.headers["x-ftkit-deployment"]
        assert properties["ftkit.version"] == properties["ftkit.deployment"][1]
        assert properties["ftkit.label"] == answer.json()[0] == "good"
        assert float(properties["ftkit.duration_ms"]) > float(properties["ftkit.computed_ms"]) > 0
    assert Counter(each["properties"]["ftkit.deployment"] for each in arrived) == {BLUE: 51, GREEN: 51}
    assert sorted(each["responseCode"] for each in arrived)[-1] == "422"

    # Each deployment predicted good nearly always; on the test split, half of the predictions were good.
    telemetry_ingestion.wait(lambda: len(telemetry_ingestion.events("ftkit.drift")) >= 2 * 2 * 4)
    drift = [each for each in telemetry_ingestion.events("ftkit.drift") if each["ftkit.drift.signal"] == "class"]
    assert {each["ftkit.deployment"] for each in drift} == {BLUE, GREEN}
    assert all(float(each["ftkit.drift.psi"]) > float(each["ftkit.drift.limit"]) for each in drift)

    # Texts and keys have not left their places.
    wire = telemetry_ingestion.wire
    assert "secret" not in wire
    assert GOOD.split()[0] not in wire
    assert live.key not in wire
    key = os.environ[settings.AZURE].split("=")[1].partition(";")[0]
    kept = [path for path in telemetry_home.rglob("*") if path.is_file()]
    assert [str(path) for path in kept if key.encode() in path.read_bytes()] == []
    logs = "\n".join(path.read_text() for path in telemetry_home.rglob("*.log"))
    assert "telemetry of requests is sent" in logs
    assert "127.0.0.1" not in logs.replace("answering on 127.0.0.1", "")


@pytest.mark.parametrize("mood", ["failing", "hanging", "gone"])
def test_a_dead_ingestion_costs_no_request(
    telemetry_ingestion: Any, telemetry_endpoint: Any, telemetry_home: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "32")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    telemetry_ingestion.mood = mood
    if mood == "gone":
        telemetry_ingestion.close()
    live = telemetry_endpoint({BLUE: 100})
    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(lambda _: ask(live, [GOOD]).status_code, range(300)))
    assert Counter(statuses) == {200: 300}
    if mood != "gone":
        telemetry_ingestion.wait(lambda: telemetry_ingestion.attempts >= 1)
    deployer = LocalDeployer(endpoint="reviews", threads=1)
    deployer.stop()
    log = telemetry_home / "endpoints" / "reviews" / "logs" / f"{BLUE}.log"
    assert "Traceback" not in log.read_text()


def test_a_server_that_ends_sends_its_queue(
    telemetry_ingestion: Any, telemetry_endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # nothing is sent before the end
    live = telemetry_endpoint({BLUE: 100})
    assert [ask(live, [GOOD]).status_code for _ in range(5)] == [200] * 5
    assert telemetry_ingestion.requests == []
    LocalDeployer(endpoint="reviews", threads=1).stop()
    assert len(telemetry_ingestion.requests) == 5


def test_a_real_encoder_from_recipe_to_telemetry(
    telemetry_ingestion: Any, telemetry_home: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ftkit_bert")
    import ftkit
    from ftkit.testing.backbones import tiny_bert

    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.format(checkpoint=json.dumps(str(tiny_bert(tmp_path / "checkpoint")))), encoding="utf-8")
    outcome = ftkit.run(recipe, emit=lambda _: None)
    try:
        live = outcome.endpoint
        assert live
        sample = verify(outcome.bundle)
        assert sample.record
        assert sample.record.profile
        assert sample.record.profile.rows == sample.record.rows
        telemetry_ingestion.wait(lambda: len(telemetry_ingestion.requests) >= 2)  # the smoke tests of the rollout
        before = len(telemetry_ingestion.requests)
        texts = [GOOD, BAD, "it rattles"]
        answer = ask(live, texts, "a" * 32, scores=True).json()
        telemetry_ingestion.wait(lambda: len(telemetry_ingestion.requests) > before)
        (request,) = [each for each in telemetry_ingestion.requests if each["tags"]["ai.operation.id"] == "a" * 32]
        properties = request["properties"]
        assert properties["ftkit.run"] == outcome.run
        assert properties["ftkit.model"] == "tiny"
        assert properties["ftkit.bundle"] == sample.hash
        assert properties["ftkit.rows"] == "3"
        assert int(properties["ftkit.tokens"]) == sum(sample.classifier.tokens(texts))  # type: ignore[attr-defined]
        assert float(properties["ftkit.confidence"]) == pytest.approx(
            np.mean([each["score"] for each in answer]), abs=1e-6
        )
        assert json.loads(properties["ftkit.labels"]) == Counter(each["label"] for each in answer)
        assert request["duration"] != "0.00:00:00.000"
        steps = [each["ftkit.step"] for each in telemetry_ingestion.events("ftkit.deployment")]
        assert [each for each in steps if each != "is starting"][:3] == [
            "created",
            "became ready",
            "passed the smoke test",
        ]
        assert GOOD not in telemetry_ingestion.wire
    finally:
        LocalDeployer(endpoint="tiny").stop()


RECIPE = """\
name = "tiny"
seed = 7

[dataset]
use = "toy-reviews"

[backbone]
use = "bert-base-cased"
checkpoint = {checkpoint}
epochs = 1
max_length = 32

[search]
metric = "roc_auc"
trials = 1

[run]
on = "local"

[deploy]
use = "local"
endpoint = "tiny"
threads = 1

[rollout]
bake = 0
"""

SCORE = """\
import os
import pathlib

from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

from ftkit.serving.handler import respond
from ftkit.serving.model_host import ModelHost


def init():
    global host
    host = ModelHost(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]))
    host.load()


@rawhttp
def run(request):
    reply = respond(host, request.get_data(), request.headers)
    return AMLResponse(reply.body, reply.status, dict(reply.headers))
"""


def test_microsofts_scoring_server_with_its_own_opentelemetry_sends_the_same(
    telemetry_ingestion: Any, telemetry_bundle: Bundle, tmp_path: Path
) -> None:
    from tests.azure.fixtures import require_scoring
    from tests.azure.v2.scoring import end, serve, wait

    python = require_scoring()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCORE, encoding="utf-8")
    info = tmp_path / "plugins" / "ftkit_appinsights-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-appinsights\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[ftkit]\nappinsights = ftkit_appinsights\n")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{PLUGIN}",
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AML_APP_ROOT": str(tmp_path / "code"),
        "AZUREML_MODEL_DIR": str(telemetry_bundle.folder),
        "FTKIT_ENDPOINT": "cloud-reviews",
        "FTKIT_DEPLOYMENT": GREEN,
    }
    log = tmp_path / "server.log"
    process = serve(python, tmp_path, log, environment)
    try:
        url = f"http://127.0.0.1:{wait(process, log)}/score"
        traced = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        with httpx2.Client(trust_env=False, verify=False, timeout=60) as client:
            answer = client.post(url, json={"data": [{"text": GOOD}]}, headers=traced)
            assert answer.json() == ["good"]
            assert client.post(url, content=b"{").status_code == 400
    finally:
        end(process)  # a server that ends sends its queue
    one, two = telemetry_ingestion.requests
    assert (one["tags"]["ai.operation.id"], one["tags"]["ai.operation.parentId"]) == ("a" * 32, "b" * 16)
    assert one["tags"]["ai.cloud.role"] == "cloud-reviews"
    properties = one["properties"]
    assert (properties["ftkit.deployment"], properties["ftkit.version"], properties["ftkit.label"]) == (
        GREEN,
        "4",
        "good",
    )
    assert float(properties["ftkit.duration_ms"]) > float(properties["ftkit.computed_ms"]) > 0
    assert (two["responseCode"], two["success"]) == ("400", False)
    assert GOOD not in telemetry_ingestion.wire
    key = os.environ[settings.AZURE].split("=")[1].partition(";")[0]
    assert key not in log.read_text()


def test_a_request_that_no_deployment_answers_arrives_from_the_endpoint(
    telemetry_ingestion: Any, telemetry_endpoint: Any
) -> None:
    live = telemetry_endpoint({BLUE: 100})
    LocalDeployer(endpoint="reviews", threads=1).set_traffic({})
    ends = time.monotonic() + 30
    while not telemetry_ingestion.requests:  # the endpoint answers before its watchers are loaded
        assert time.monotonic() < ends
        assert ask(live, [GOOD], "a" * 32).status_code == 503
        time.sleep(0.1)
    request = telemetry_ingestion.requests[0]
    assert (request["responseCode"], request["success"]) == ("503", False)
    assert request["tags"]["ai.operation.id"] == "a" * 32
    assert request["properties"]["ftkit.endpoint"] == "reviews"
    assert "ftkit.deployment" not in request["properties"]
