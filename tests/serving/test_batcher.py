"""The batcher merges requests that wait, gives every caller its own answers, and bounds the queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ftkit.serving.batcher import Batcher, Busy, Closed
from ftkit.serving.limits import Limits
from ftkit.serving.request_queue import RequestQueue


class Model:
    """Answers each text with its number; holds every call until it is released, and records the calls."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if "poison" in texts:
            raise ValueError("cannot read this")
        return np.array([[float(text)] for text in texts])


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> Iterator[Batcher]:
    batcher = Batcher(model, Limits(batch=4, waiting=8))
    yield batcher
    for _ in range(50):
        model.go.release()
    batcher.close()


def rows(result: object) -> list[float]:
    return [float(value) for value in result.probabilities[:, 0]]  # type: ignore[attr-defined]


def wait_begun(model: Model) -> None:
    assert model.begun.acquire(timeout=10)


def wait_read(batcher: Batcher) -> None:
    """Until every text that waits has been read, so that it can be in the next call."""
    queue, ends = batcher._queue, time.monotonic() + 10
    while queue._waiting != sum(len(request.waiting) for request in queue._computable):
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_an_idle_batcher_computes_at_once_and_requests_that_wait_go_together(batcher: Batcher, model: Model) -> None:
    first = batcher.submit(["1"])
    wait_begun(model)
    later = [batcher.submit([str(number)]) for number in (2, 3, 4)]
    wait_read(batcher)
    model.go.release(2)
    assert [rows(each.result(10)) for each in [first, *later]] == [[1], [2], [3], [4]]
    assert model.calls == [["1"], ["2", "3", "4"]]


def test_a_request_larger_than_a_batch_takes_turns_with_small_ones(batcher: Batcher, model: Model) -> None:
    large = batcher.submit([str(number) for number in range(10)])
    wait_begun(model)
    small = batcher.submit(["77"])
    wait_read(batcher)
    model.go.release(9)
    assert rows(small.result(10)) == [77]
    assert rows(large.result(10)) == list(range(10))
    assert "77" in model.calls[1], "it did not wait for the large one to end"
    assert max(map(len, model.calls)) == 4


def test_one_request_on_which_the_model_fails_does_not_fail_its_neighbours(batcher: Batcher, model: Model) -> None:
    batcher.submit(["1"])
    wait_begun(model)
    good, bad, also_good = (batcher.submit([text]) for text in ("2", "poison", "3"))
    wait_read(batcher)
    model.go.release(9)
    assert rows(good.result(10)) == [2]
    assert rows(also_good.result(10)) == [3]
    with pytest.raises(ValueError, match="cannot read this"):
        bad.result(10)


def test_the_queue_is_bounded_but_an_empty_one_takes_any_request(batcher: Batcher, model: Model) -> None:
    running = batcher.submit(["0"])
    wait_begun(model)
    waiting = batcher.submit([str(number) for number in range(8)])
    with pytest.raises(Busy):
        batcher.submit(["9"])
    model.go.release(9)
    running.result(10)
    waiting.result(10)
    model.go.release(9)
    assert len(rows(batcher.submit(["1"] * 20).result(10))) == 20


def test_texts_for_which_the_model_needs_too_long_are_refused() -> None:
    queue = RequestQueue(batch=4, waiting=1000, seconds=10.0, calls=1)

    def compute(seconds: float) -> None:
        request = queue.add(["a"])
        queue.take_unread()
        queue.add_rows(request, ["a"])
        queue.finish(queue.take_batch(lambda lengths: range(len(lengths))), np.ones((1, 1)), seconds)
        assert request.future.done()

    for _ in range(8):
        compute(2.0)
    queue.add(["a"] * 6)  # 12 s
    with pytest.raises(Busy, match="6 texts wait"):
        queue.add(["b"])
    queue = RequestQueue(batch=4, waiting=1000, seconds=10.0, calls=1)
    for seconds in (*[50.0] * 8, 0.1, *[50.0] * 5):  # slow by accident
        compute(seconds)
    queue.add(["a"] * 6)
    queue.add(["b"])


def test_a_cancelled_request_is_not_computed_and_frees_its_place(batcher: Batcher, model: Model) -> None:
    running = batcher.submit(["0"])
    wait_begun(model)
    assert batcher.submit(["1"] * 8).cancel()
    model.go.release(9)
    running.result(10)
    assert rows(batcher.submit(["3"] * 8).result(10)) == [3] * 8, "its place in the queue is free again"
    assert not any("1" in call for call in model.calls)


def test_closing_refuses_requests_that_wait(model: Model) -> None:
    batcher = Batcher(model, Limits(batch=1))
    running = batcher.submit(["1"])
    wait_begun(model)
    waiting = batcher.submit(["2", "3"])
    model.go.release(9)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert running.done()
    assert waiting.done()
    with pytest.raises(Closed):
        batcher.submit(["4"])


def test_many_callers_get_their_own_answers() -> None:
    class Instant:
        def probabilities(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[float(text)] for text in texts])

    batcher = Batcher(Instant(), Limits(batch=7))

    def ask(number: int) -> bool:
        texts = [str(number * 100 + each) for each in range(number % 20 + 1)]
        return rows(batcher.submit(texts).result(10)) == [float(text) for text in texts]

    with ThreadPoolExecutor(16) as callers:
        assert all(callers.map(ask, range(400)))
    batcher.close()


class Reader:
    """Reads and computes in two steps; rows of like length go together, and every call waits until it is let go."""

    calls = 2

    def __init__(self) -> None:
        self.computing: list[list[int]] = []
        self.going = self.most = 0
        self.counting = threading.Lock()
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def read(self, texts: Sequence[str]) -> list[str]:
        if "unreadable" in texts:
            raise ValueError("no such letters")
        return [text * 2 for text in texts]

    def together(self, lengths: Sequence[int]) -> list[int]:
        return [index for index, length in enumerate(lengths) if length == lengths[0]]

    def computed(self, rows: Sequence[str]) -> np.ndarray:
        self.computing.append([len(row) for row in rows])
        with self.counting:
            self.going += 1
            self.most = max(self.most, self.going)
        self.begun.release()
        assert self.go.acquire(timeout=10)
        with self.counting:
            self.going -= 1
        return np.array([[float(len(row))] for row in rows])

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        raise AssertionError("it is called in two steps")


@pytest.fixture
def reader() -> Iterator[tuple[Reader, Batcher]]:
    model = Reader()
    batcher = Batcher(model, Limits(batch=4, waiting=100))
    yield model, batcher
    for _ in range(100):
        model.go.release()
    batcher.close()


def test_a_model_for_two_calls_at_a_time_gets_two_and_the_third_waits(reader: tuple[Reader, Batcher]) -> None:
    model, batcher = reader
    futures = [batcher.submit(["a"]), batcher.submit(["bb"])]
    for _ in range(2):
        assert model.begun.acquire(timeout=10)
    futures += [batcher.submit(["c" * number]) for number in range(3, 12)]
    model.go.release(20)
    assert [rows(each.result(10)) for each in futures] == [[2.0 * number] for number in range(1, 12)]
    assert model.most == 2


def test_rows_of_like_length_are_computed_together_and_answers_keep_the_order_of_the_texts(
    reader: tuple[Reader, Batcher],
) -> None:
    model, batcher = reader
    held = [batcher.submit(["x" * 9]), batcher.submit(["y" * 10])]
    for _ in range(2):
        assert model.begun.acquire(timeout=10)
    mixed = batcher.submit(["a", "bb", "a", "bb", "a"])
    more = batcher.submit(["bb"])
    wait_read(batcher)
    model.go.release(20)
    assert rows(mixed.result(10)) == [2, 4, 2, 4, 2]
    assert rows(more.result(10)) == [4]
    assert [rows(each.result(10)) for each in held] == [[18], [20]]
    assert all(len(set(lengths)) == 1 for lengths in model.computing)


def test_texts_that_cannot_be_read_fail_their_own_request_only(reader: tuple[Reader, Batcher]) -> None:
    model, batcher = reader
    model.go.release(100)
    unreadable, readable = batcher.submit(["a", "unreadable"]), batcher.submit(["a"])
    with pytest.raises(ValueError, match="no such letters"):
        unreadable.result(10)
    assert rows(readable.result(10)) == [2]
    assert rows(batcher.submit(["a"] * 100).result(10)) == [2] * 100, "it holds no place in the queue"
