"""How texts longer than a row are read: which tokens, how many at most, and the same in training, engines and servers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.contracts import Data, DataReport, Split
from ftkit.encoders import inspection, long_texts
from ftkit.encoders.inference import engines
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.encoders.inference.classifier import load as load_native
from ftkit.encoders.long_texts import HEAD_ONLY, MOST_WINDOWS, LongTexts, Windows
from ftkit.encoders.tokenization import Tokenizer, tokenize
from ftkit.errors import BundleError, DataError
from ftkit.serving.batcher import Batcher

minilm = pytest.importorskip("ftkit_quickstart").minilm

WAYS = [HEAD_ONLY, LongTexts("head-tail"), LongTexts("windows"), LongTexts("windows", stride=7, pooling="max")]


def read_tokens(way: LongTexts, tokens: int, capacity: int) -> list[list[int]]:
    ids = [*range(tokens)]
    return [[token for place in part for token in ids[place]] for part in way.parts(tokens, capacity)]


@pytest.mark.parametrize(
    ("way", "tokens", "expected"),
    [
        (HEAD_ONLY, 7, [[0, 1, 2, 3]]),
        (LongTexts("head-tail"), 4, [[0, 1, 2, 3]]),
        (LongTexts("head-tail"), 7, [[0, 4, 5, 6]]),
        (LongTexts("windows"), 4, [[0, 1, 2, 3]]),
        (LongTexts("windows"), 8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (LongTexts("windows"), 9, [[0, 1, 2, 3], [4, 5, 6, 7], [5, 6, 7, 8]]),
        (LongTexts("windows", stride=2), 7, [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]),
    ],
)
def test_which_tokens_are_read(way: LongTexts, tokens: int, expected: list[list[int]]) -> None:
    assert read_tokens(way, tokens, 4) == expected


@pytest.mark.parametrize("way", WAYS)
def test_counts_are_those_of_the_parts(way: LongTexts) -> None:
    lengths = np.array([0, 1, 9, 10, 11, 20, 31, 500, 10_000])
    parts = [read_tokens(way, int(each), 10) for each in lengths]
    assert way.windows(lengths, 10).tolist() == [len(each) for each in parts]
    assert way.read(lengths, 10).tolist() == [len({token for row in each for token in row}) for each in parts]
    assert max(map(len, parts)) <= MOST_WINDOWS


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    from ftkit.encoders.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(minilm.MiniLM())
    config = BertConfig(
        vocab_size=len(checkpoint.tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, id2label={0: "bad", 1: "good"}, pad_token_id=0,
        initializer_range=0.5,
    )  # fmt: skip
    return BertForSequenceClassification(config), checkpoint.tokenizer


TEXTS = ["", "a ship", " ".join(f"word{number} ship sails" for number in range(60)), "one more ship " * 40]


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_model_and_its_engine_read_alike(tmp_path: Path, model: Any, way: LongTexts) -> None:
    """The whole way of a request: read, queued with others, computed in any company, pooled; and again after loading."""
    network, tokenizer = model
    classifier = EncoderClassifier(network, Tokenizer(tokenizer, 20), 20, long_texts=way)
    expected = classifier.probabilities(TEXTS)
    read = classifier.read(TEXTS)
    assert [isinstance(each, Windows) for each in read] == [False, False, *[way.way == "windows"] * 2]
    assert max(len(row) for row in long_texts.flattened(read)[0]) == 20
    assert classifier.tokens(TEXTS) == [len(each) for each in classifier.read(TEXTS)]
    classifier.save(tmp_path / "model")
    loaded = load_native(tmp_path / "model")
    assert loaded.long_texts == way
    np.testing.assert_allclose(loaded.probabilities(TEXTS), expected, atol=1e-5)
    batcher = Batcher(loaded)
    try:
        answers = [batcher.submit([text]) for text in TEXTS]
        np.testing.assert_allclose([each.result().probabilities[0] for each in answers], expected, atol=1e-5)
    finally:
        batcher.close()
    head = EncoderClassifier(network, Tokenizer(tokenizer, 20), 20)
    np.testing.assert_allclose(head.probabilities(TEXTS[:2]), expected[:2], atol=1e-5)
    assert abs(head.probabilities(TEXTS[2:]) - expected[2:]).max() > 1e-4


def test_an_exported_engine_pools_windows(tmp_path: Path, model: Any) -> None:
    pytest.importorskip("onnxruntime")
    from ftkit.encoders.export import onnx

    network, tokenizer = model
    classifier = EncoderClassifier(network, Tokenizer(tokenizer, 20), 20, long_texts=WAYS[3])
    classifier.save(tmp_path / "model")
    onnx.export(tmp_path / "model", ("onnx",))
    engine = engines.load(tmp_path / "model", "onnx")
    np.testing.assert_allclose(engine.probabilities(TEXTS), classifier.probabilities(TEXTS), atol=1e-4)
    assert engine.tokens(TEXTS) == classifier.tokens(TEXTS)


def test_logits_are_pooled_alike_with_and_without_gradients() -> None:
    import torch

    logits, counts = np.random.default_rng(1).normal(size=(6, 3)), [1, 3, 2]
    for pooling in ("mean", "max"):
        reduce: Any = {"mean": np.mean, "max": np.max}[pooling]
        expected = [reduce(each, axis=0) for each in (logits[:1], logits[1:4], logits[4:])]
        np.testing.assert_allclose(long_texts.pooled(logits, counts, pooling), expected)  # type: ignore[arg-type]
        tensor = torch.tensor(logits, requires_grad=True)
        pooled = long_texts.pooled_tensor(tensor, counts, pooling)  # type: ignore[arg-type]
        np.testing.assert_allclose(pooled.detach().numpy(), expected)
        pooled.sum().backward()
        assert tensor.grad is not None
        assert float(tensor.grad.sum()) == pytest.approx(9)


@pytest.mark.parametrize("way", WAYS)
def test_stored_tokens_give_what_a_request_gives(tmp_path: Path, model: Any, way: LongTexts) -> None:
    tokenizer = Tokenizer(model[1], 64)
    texts = [*TEXTS, "begin " + "x" * 20_000 + " middle " + "ship " * 20_000 + "end"]
    split = tokenize(texts, tokenizer, 20, tmp_path, way)
    served = Tokenizer(model[1], 20).rows(texts, 20, way)
    for row, other in zip(split.rows(range(len(texts))), served, strict=True):
        pairs = (
            zip(row.rows, other.rows, strict=True)
            if isinstance(row, Windows) and isinstance(other, Windows)
            else [(row, other)]
        )
        assert all(np.array_equal(one, same) for one, same in pairs)
    assert split.lengths.tolist() == [len(each) for each in served]
    assert int(np.diff(split.starts).max()) <= MOST_WINDOWS * 62
    assert len([*tmp_path.glob("tokens-*")]) == 1


def test_ways_do_not_share_stored_tokens(tmp_path: Path, model: Any) -> None:
    tokenizer = Tokenizer(model[1], 64)
    for way in WAYS:
        tokenize(TEXTS, tokenizer, 20, tmp_path, way)
    assert len([*tmp_path.glob("tokens-*")]) == 3  # windows of any stride and pooling need the same tokens


def test_a_way_that_is_not_known_is_said(tmp_path: Path) -> None:
    (tmp_path / long_texts.FILE).write_text(json.dumps({"way": "backwards"}))
    with pytest.raises(BundleError, match="backwards"):
        long_texts.load(tmp_path)


def data_of(texts: list[str]) -> Data:
    split = Split(texts, [row % 2 for row in range(len(texts))])
    return Data(("bad", "good"), split, split, Split((), ()), DataReport("here", len(texts), {}, {}, {}, ""))


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        ({"max_length": 64}, "a ship " * 9, "reads all of 8 texts, of which the longest has 18 tokens"),
        ({}, "a ship " * 9, "max_length = 64 reads all"),
        ({"stride": 100}, "a ship " * 40, "a window of max_length = 96 has 94"),
    ],
)
def test_windows_that_read_no_more_or_less_are_refused(options: dict[str, Any], text: str, message: str) -> None:
    encoder = minilm.MiniLM(long_texts="windows", **options)
    with pytest.raises(DataError, match=message):
        encoder.foresee(data_of([text] * 8))
    dataclasses.replace(encoder, max_length=16, stride=None).foresee(data_of([text] * 8))


@pytest.mark.parametrize(
    "options",
    [{"stride": 4}, {"window_pooling": "max"}, {"long_texts": "windows", "stride": 31, "max_length": 32}],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stride"):
        minilm.MiniLM(**options)


def test_the_data_report_says_how_much_each_way_reads() -> None:
    from ftkit.data.description import what_is_seen

    data = data_of(["ship " * 10, "ship " * 90] * 4)
    numbers = inspection.inspect(minilm.MiniLM(max_length=32), data).tokens
    assert {name: round(value, 2) for name, value in numbers.items() if name.startswith("read")} == {
        "read_head": 0.4,
        "read_head_tail": 0.4,
        "read_windows": 1.0,
    }
    assert "of all tokens head reads 40 %, head-tail 40 %, windows 100 %" in what_is_seen(numbers)
    windows = inspection.inspect(minilm.MiniLM(max_length=32, long_texts="windows"), data)
    assert "all are read in windows of 32, 2.0 a text" in what_is_seen(windows.tokens)
    assert not windows.warnings or "reads the first" not in windows.warnings[0]
    tail = inspection.inspect(minilm.MiniLM(max_length=32, long_texts="head-tail"), data)
    assert "the first 10 and the last 22 are read" in what_is_seen(tail.tokens)
