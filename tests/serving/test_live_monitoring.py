"""Watching a deployment: watchers get every request with all that became of it, and no caller ever waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ftkit import hookimpl, plugins
from ftkit.bundle.bundle import Bundle
from ftkit.contracts.monitoring import Served, ServedRequest, Watcher
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.serving import monitoring, server
from ftkit.serving.asgi import application
from ftkit.serving.batcher import Batcher
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle
from ftkit.testing.watchers import sample_served


class Listener:
    """Records the requests it is called with; can fail, or wait before it takes one."""

    def __init__(self, fails: bool = False) -> None:
        self.requests: list[ServedRequest] = []
        self.closed = False
        self.fails = fails
        self.go = threading.Event()
        self.go.set()
        self.recorded = threading.Semaphore(0)

    def tell(self, request: ServedRequest) -> None:
        self.go.wait(60)
        self.requests.append(request)
        self.recorded.release()
        if self.fails:
            raise RuntimeError("out of order")

    def close(self) -> None:
        self.closed = True

    def wait(self, count: int) -> list[ServedRequest]:
        for _ in range(count):
            assert self.recorded.acquire(timeout=20)
        return self.requests


class Plugin:
    """A plugin that watches with these listeners, and records the deployments it was asked about."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners
        self.served: list[Served] = []

    @hookimpl
    def watchers(self, served: Served) -> list[Watcher]:
        self.served.append(served)
        return list(self.listeners)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("watch")
    with toys.install(folder / "plugins"):
        yield toy_bundle(folder / "bundle")


@pytest.fixture
def serve(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestClient]]:
    """Serves the bundle as a deployment, or as none, with these plugins."""
    clients: list[TestClient] = []

    def start(*installed: object, deployment: str = "v3-20250101-120000", limits: Limits | None = None) -> TestClient:
        loaded = plugins.collect([], {"toys": toys, **{f"plugin {at}": each for at, each in enumerate(installed)}})
        monkeypatch.setattr(plugins, "load", lambda: loaded)
        monkeypatch.setenv("FTKIT_DEPLOYMENT", deployment)
        monkeypatch.setenv("FTKIT_ENDPOINT", "reviews")
        host = ModelHost(bundle.folder, limits)
        clients.append(TestClient(application(host), raise_server_exceptions=False))
        clients[-1].__enter__()
        clients[-1].app_state["host"] = host
        ends = time.monotonic() + 20
        while clients[-1].get("/readyz").status_code != 200:
            assert time.monotonic() < ends
            time.sleep(0.01)
        return clients[-1]

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def ask(client: TestClient, *texts: str, **headers: str) -> int:
    return client.post("/score", json={"data": [{"text": text} for text in texts]}, headers=headers).status_code


def test_a_watcher_gets_a_request_with_all_that_became_of_it(serve: Callable[..., TestClient], bundle: Bundle) -> None:
    listener = Listener()
    plugin = Plugin(listener)
    client = serve(plugin)
    before = time.time_ns()
    begun = time.perf_counter()
    assert ask(client, GOOD, BAD, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", tracestate="shop=1") == 200
    spent = time.perf_counter() - begun
    (request,) = listener.wait(1)
    assert request.status == 200
    assert list(request.labels) == ["good", "bad"]
    assert request.confidences == pytest.approx(bundle.probabilities([GOOD, BAD]).max(axis=1))
    assert list(request.texts) == [GOOD, BAD]
    assert before <= request.began <= time.time_ns()
    assert 0 < request.computed <= request.seconds <= spent
    assert request.trace == {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "shop=1"}
    assert plugin.served == [request.served]
    assert (request.served.endpoint, request.served.deployment) == ("reviews", "v3-20250101-120000")
    assert (request.served.version, request.served.bundle, request.served.engine) == ("3", bundle.hash, "native")
    assert request.served.classes == ("bad", "good")


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b'{"data": [{}]}', 422), (b"x" * 300, 413), (b'{"data": []}', 200)]
)
def test_a_watcher_gets_a_refused_request_with_its_status(
    serve: Callable[..., TestClient], body: bytes, status: int
) -> None:
    listener = Listener()
    client = serve(Plugin(listener), limits=Limits(size=200))
    assert client.post("/score", content=body).status_code == status
    (request,) = listener.wait(1)
    assert request.status == status
    assert not request.labels
    assert request.seconds > 0


def test_a_watcher_gets_a_request_on_which_the_model_failed(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, texts: object) -> None:
        raise RuntimeError("out of order")

    listener = Listener()
    client = serve(Plugin(listener))
    monkeypatch.setattr(toys.ToyClassifier, "probabilities", fail)
    assert ask(client, GOOD) == 500
    (request,) = listener.wait(1)
    assert (request.status, list(request.labels)) == (500, [])


def test_the_texts_of_a_request_are_not_in_its_repr(serve: Callable[..., TestClient]) -> None:
    listener = Listener()
    ask(serve(Plugin(listener)), "a secret about me")
    assert "secret" not in repr(listener.wait(1)[0])


def test_without_watchers_requests_are_not_observed(serve: Callable[..., TestClient]) -> None:
    client = serve(Plugin())
    assert ask(client, GOOD) == 200
    assert client.app_state["host"].observer is None


def test_a_server_that_is_no_deployment_has_no_traffic_to_watch(serve: Callable[..., TestClient]) -> None:
    plugin = Plugin(Listener())
    client = serve(plugin, deployment="")
    assert ask(client, GOOD) == 200
    assert plugin.served == []


def test_a_server_of_a_promotion_test_is_no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_DEPLOYMENT", "v3-20250101-120000")
    assert server.environment()["FTKIT_DEPLOYMENT"] == ""
    assert server.environment(1, "reviews", "v4")["FTKIT_DEPLOYMENT"] == "v4"
    assert server.environment(1, "reviews", "v4")["FTKIT_ENDPOINT"] == "reviews"


def test_a_watcher_that_fails_costs_neither_callers_nor_other_watchers(
    serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        """A plugin that fails when it is asked for watchers."""

        @hookimpl
        def watchers(self, served: Served) -> list[Watcher]:
            raise RuntimeError("out of order")

    unruly, calm = Listener(fails=True), Listener()
    client = serve(Broken(), Plugin(unruly), Plugin(calm))
    assert [ask(client, GOOD) for _ in range(3)] == [200, 200, 200]
    assert len(calm.wait(3)) == 3
    assert len(unruly.wait(3)) == 3
    client.app_state["host"].observer.close()
    assert len([each for each in caplog.records if "the watcher Listener of" in each.getMessage()]) == 1


def test_a_watcher_that_hangs_holds_up_no_caller(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "REQUESTS", 5)
    hanging = Listener()
    hanging.go.clear()
    client = serve(Plugin(hanging))
    assert [ask(client, GOOD) for _ in range(20)] == [200] * 20
    observer = client.app_state["host"].observer
    assert observer.dropped >= 20 - 5 - 1
    hanging.go.set()
    hanging.wait(20 - observer.dropped)


def test_texts_that_wait_for_watchers_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "CHARACTERS", 1000)
    hanging = Listener()
    hanging.go.clear()
    observer = monitoring.RequestObserver(sample_served(), [hanging])
    for _ in range(10):
        with monitoring.observed(observer, {}) as observation:
            observation.texts = ["x" * 300]
    assert observer.dropped >= 10 - 4
    hanging.go.set()
    hanging.wait(10 - observer.dropped)
    with monitoring.observed(observer, {}) as observation:  # requests that were passed on have made room
        observation.texts = ["x" * 900]
    hanging.wait(1)
    observer.close()
    assert hanging.closed


def test_closing_passes_on_what_is_left_and_then_closes_the_watchers() -> None:
    listener = Listener()
    observer = monitoring.RequestObserver(sample_served(), [listener])
    for _ in range(100):
        with monitoring.observed(observer, {}):
            pass
    observer.close()
    assert len(listener.requests) == 100
    assert listener.closed


def test_closing_does_not_wait_for_a_watcher_that_hangs() -> None:
    hanging = Listener()
    hanging.go.clear()
    observer = monitoring.RequestObserver(sample_served(), [hanging])
    with monitoring.observed(observer, {}):
        pass
    closing = threading.Thread(target=observer.close, args=(0.1,))
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    hanging.go.set()


def test_a_request_whose_caller_left_has_status_499() -> None:
    listener = Listener()
    observer = monitoring.RequestObserver(sample_served(), [listener])
    with pytest.raises(KeyboardInterrupt), monitoring.observed(observer, {}):
        raise KeyboardInterrupt
    observer.close()
    assert [request.status for request in listener.requests] == [monitoring.LEFT]


class Counter:
    """Takes each word for a token, and records the texts that it counts."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def tokens(self, texts: Sequence[str]) -> list[int]:
        self.counted += texts
        return [len(text.split()) for text in texts]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        return self.computed(texts)

    def computed(self, rows: Sequence[Sized]) -> np.ndarray:
        return np.full((len(rows), 2), 0.5)


class Reader(Counter):
    """The same in two steps."""

    calls = 1

    def read(self, texts: Sequence[str]) -> list[list[str]]:
        self.counted += texts
        return [text.split() for text in texts]

    def together(self, lengths: Sequence[int]) -> Sequence[int]:
        return range(len(lengths))


@pytest.mark.parametrize("model", [Counter(), Reader()])
def test_the_tokens_of_a_text_are_counted_once(model: Counter) -> None:
    listener = Listener()
    observer = monitoring.RequestObserver(sample_served(), [listener], model)
    batcher = Batcher(model, Limits(batch=2))
    texts = ["one", "two words", "three more words", ""]
    with monitoring.observed(observer, {}) as observation:
        observation.texts = texts
        observation.result = batcher.submit(texts).result(20)
    batcher.close()
    observer.close()
    assert [request.tokens for request in listener.requests] == [6]
    assert sorted(model.counted) == sorted(texts)


def test_tokens_are_those_that_the_model_reads(tmp_path: Path) -> None:
    pytest.importorskip("ftkit_quickstart")
    from ftkit_quickstart.minilm import packaged

    from ftkit.encoders import checkpoint
    from ftkit.encoders.tokenization import Tokenizer

    saved = checkpoint.read(packaged())
    texts = ["", "It broke after a week.", "endless " * 2000]
    classifier = EncoderClassifier(saved.model(("bad", "good")), Tokenizer(saved.tokenizer, saved.limit), 64)
    by_tokenizer = [len(saved.tokenizer(text, truncation=True, max_length=64)["input_ids"]) for text in texts]
    assert classifier.tokens(texts) == by_tokenizer
    assert list(map(len, classifier.read(texts))) == by_tokenizer
