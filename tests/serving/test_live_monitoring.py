"""Watching a deployment: nothing is paid when nobody does, everything is told when somebody does, and no caller ever waits."""

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
from ftkit.serving import monitoring as watches
from ftkit.serving import server
from ftkit.serving.asgi import application
from ftkit.serving.batcher import Batcher
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle
from ftkit.testing.watchers import sample_served


class Listener:
    """Keeps what it is told; may be told to fail, or to wait before it listens."""

    def __init__(self, fails: bool = False) -> None:
        self.told: list[ServedRequest] = []
        self.closed = False
        self.fails = fails
        self.go = threading.Event()
        self.go.set()
        self.heard = threading.Semaphore(0)

    def tell(self, request: ServedRequest) -> None:
        self.go.wait(60)
        self.told.append(request)
        self.heard.release()
        if self.fails:
            raise RuntimeError("out of order")

    def close(self) -> None:
        self.closed = True

    def wait(self, count: int) -> list[ServedRequest]:
        for _ in range(count):
            assert self.heard.acquire(timeout=20)
        return self.told


class Plugin:
    """A plugin that watches with these listeners, and keeps what it was asked about."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners
        self.asked: list[Served] = []

    @hookimpl
    def watchers(self, served: Served) -> list[Watcher]:
        self.asked.append(served)
        return list(self.listeners)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("watch")
    with toys.install(folder / "plugins"):
        yield toy_bundle(folder / "bundle")


@pytest.fixture
def serve(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestClient]]:
    """Serves the bundle as a deployment, or as none, to plugins as given."""
    clients: list[TestClient] = []

    def start(*offered: object, deployment: str = "v3-20250101-120000", limits: Limits | None = None) -> TestClient:
        loaded = plugins.collect([], {"toys": toys, **{f"plugin {at}": each for at, each in enumerate(offered)}})
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


def test_a_request_is_told_with_all_that_became_of_it(serve: Callable[..., TestClient], bundle: Bundle) -> None:
    listener = Listener()
    plugin = Plugin(listener)
    client = serve(plugin)
    before = time.time_ns()
    begun = time.perf_counter()
    assert ask(client, GOOD, BAD, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", tracestate="shop=1") == 200
    spent = time.perf_counter() - begun
    (told,) = listener.wait(1)
    assert told.status == 200
    assert list(told.labels) == ["good", "bad"]
    assert told.confidences == pytest.approx(bundle.probabilities([GOOD, BAD]).max(axis=1))
    assert list(told.texts) == [GOOD, BAD]
    assert before <= told.began <= time.time_ns()
    assert 0 < told.computed <= told.seconds <= spent
    assert told.trace == {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "shop=1"}
    assert plugin.asked == [told.served]
    assert (told.served.endpoint, told.served.deployment) == ("reviews", "v3-20250101-120000")
    assert (told.served.version, told.served.bundle, told.served.engine) == ("3", bundle.hash, "native")
    assert told.served.classes == ("bad", "good")


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b'{"data": [{}]}', 422), (b"x" * 300, 413), (b'{"data": []}', 200)]
)
def test_what_is_refused_is_told_as_refused(serve: Callable[..., TestClient], body: bytes, status: int) -> None:
    listener = Listener()
    client = serve(Plugin(listener), limits=Limits(size=200))
    assert client.post("/score", content=body).status_code == status
    (told,) = listener.wait(1)
    assert told.status == status
    assert not told.labels
    assert told.seconds > 0


def test_a_failure_of_the_model_is_told_as_one(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, texts: object) -> None:
        raise RuntimeError("out of order")

    listener = Listener()
    client = serve(Plugin(listener))
    monkeypatch.setattr(toys.ToyClassifier, "probabilities", fail)
    assert ask(client, GOOD) == 500
    (told,) = listener.wait(1)
    assert (told.status, list(told.labels)) == (500, [])


def test_what_a_request_said_is_not_in_how_it_is_shown(serve: Callable[..., TestClient]) -> None:
    listener = Listener()
    ask(serve(Plugin(listener)), "a secret about me")
    assert "secret" not in repr(listener.wait(1)[0])


def test_nobody_is_asked_where_nobody_watches(serve: Callable[..., TestClient]) -> None:
    client = serve(Plugin())
    assert ask(client, GOOD) == 200
    assert client.app_state["host"].watch is None


def test_a_server_that_is_no_deployment_has_no_traffic_to_watch(serve: Callable[..., TestClient]) -> None:
    plugin = Plugin(Listener())
    client = serve(plugin, deployment="")
    assert ask(client, GOOD) == 200
    assert plugin.asked == []


def test_a_server_of_a_promotion_test_is_told_that_it_is_no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_DEPLOYMENT", "v3-20250101-120000")
    assert server.environment()["FTKIT_DEPLOYMENT"] == ""
    assert server.environment(1, "reviews", "v4")["FTKIT_DEPLOYMENT"] == "v4"
    assert server.environment(1, "reviews", "v4")["FTKIT_ENDPOINT"] == "reviews"


def test_one_who_fails_costs_neither_callers_nor_others(
    serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        """A plugin that fails when asked."""

        @hookimpl
        def watchers(self, served: Served) -> list[Watcher]:
            raise RuntimeError("out of order")

    unruly, calm = Listener(fails=True), Listener()
    client = serve(Broken(), Plugin(unruly), Plugin(calm))
    assert [ask(client, GOOD) for _ in range(3)] == [200, 200, 200]
    assert len(calm.wait(3)) == 3
    assert len(unruly.wait(3)) == 3
    client.app_state["host"].watch.close()
    assert len([each for each in caplog.records if "a watcher of this deployment failed" in each.getMessage()]) == 1


def test_one_who_never_listens_holds_up_no_caller(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "REQUESTS", 5)
    deaf = Listener()
    deaf.go.clear()
    client = serve(Plugin(deaf))
    assert [ask(client, GOOD) for _ in range(20)] == [200] * 20
    watch = client.app_state["host"].watch
    assert watch.untold >= 20 - 5 - 1
    deaf.go.set()
    deaf.wait(20 - watch.untold)


def test_texts_that_wait_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "CHARACTERS", 1000)
    deaf = Listener()
    deaf.go.clear()
    watch = watches.Watch(sample_served(), [deaf])
    for _ in range(10):
        with watches.noted(watch, {}) as note:
            note.texts = ["x" * 300]
    assert watch.untold >= 10 - 4
    deaf.go.set()
    deaf.wait(10 - watch.untold)
    with watches.noted(watch, {}) as note:  # what was told has made room
        note.texts = ["x" * 900]
    deaf.wait(1)
    watch.close()
    assert deaf.closed


def test_closing_tells_what_is_left_and_then_the_watchers() -> None:
    listener = Listener()
    watch = watches.Watch(sample_served(), [listener])
    for _ in range(100):
        with watches.noted(watch, {}):
            pass
    watch.close()
    assert len(listener.told) == 100
    assert listener.closed


def test_closing_leaves_one_behind_who_does_not_end() -> None:
    deaf = Listener()
    deaf.go.clear()
    watch = watches.Watch(sample_served(), [deaf])
    with watches.noted(watch, {}):
        pass
    closing = threading.Thread(target=watch.close, args=(0.1,))
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    deaf.go.set()


def test_a_caller_who_leaves_is_told_as_such() -> None:
    listener = Listener()
    watch = watches.Watch(sample_served(), [listener])
    with pytest.raises(KeyboardInterrupt), watches.noted(watch, {}):
        raise KeyboardInterrupt
    watch.close()
    assert [each.status for each in listener.told] == [watches.LEFT]


class Counter:
    """Takes each word for a token, and counts how often it looks at a text for that."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def tokens(self, texts: Sequence[str]) -> list[int]:
        self.looked += texts
        return [len(text.split()) for text in texts]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        return self.computed(texts)

    def computed(self, rows: Sequence[Sized]) -> np.ndarray:
        return np.full((len(rows), 2), 0.5)


class Reader(Counter):
    """The same in two steps."""

    calls = 1

    def read(self, texts: Sequence[str]) -> list[list[str]]:
        self.looked += texts
        return [text.split() for text in texts]

    def together(self, lengths: Sequence[int]) -> Sequence[int]:
        return range(len(lengths))


@pytest.mark.parametrize("model", [Counter(), Reader()])
def test_no_text_is_looked_at_twice_to_count_its_tokens(model: Counter) -> None:
    listener = Listener()
    watch = watches.Watch(sample_served(), [listener], model)
    engine = Batcher(model, Limits(batch=2))
    texts = ["one", "two words", "three more words", ""]
    with watches.noted(watch, {}) as note:
        note.texts = texts
        note.result = engine.submit(texts).result(20)
    engine.close()
    watch.close()
    assert [told.tokens for told in listener.told] == [6]
    assert sorted(model.looked) == sorted(texts)


def test_tokens_are_those_that_the_model_reads(tmp_path: Path) -> None:
    pytest.importorskip("ftkit_quickstart")
    from ftkit_quickstart.minilm import packaged

    from ftkit.encoders import checkpoint
    from ftkit.encoders.tokenization import Words

    saved = checkpoint.read(packaged())
    texts = ["", "It broke after a week.", "endless " * 2000]
    classifier = EncoderClassifier(saved.model(("bad", "good")), Words(saved.tokenizer, saved.limit), 64)
    by_tokenizer = [len(saved.tokenizer(text, truncation=True, max_length=64)["input_ids"]) for text in texts]
    assert classifier.tokens(texts) == by_tokenizer
    assert list(map(len, classifier.read(texts))) == by_tokenizer
