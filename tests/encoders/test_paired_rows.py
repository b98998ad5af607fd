"""Pairs in an encoder: read in the model's own form, trained on with token types, and answered alike by every engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit import pairs
from ftkit.contracts import Classifier, Data, Inspection
from ftkit.encoders import Encoder, checkpoint
from ftkit.encoders.inference import engines, fast_tokenizer
from ftkit.encoders.inference.classifier import load
from ftkit.encoders.paired_rows import SECOND, PairTokenizer, inputs, shares, tokenizer_of
from ftkit.encoders.tokenization import tokenize
from ftkit.encoders.training import distillation
from ftkit.errors import DataError
from ftkit.testing.separable import PAIR, paired_data, separable_data

ENGINES = ("onnx", "onnx-int8", "openvino")
ODD = ("", "no pair", pairs.join("", ""), pairs.join("", "ship"), pairs.join("song " * 300, "\ud83d"))


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rate: float = 3e-3
    batch_size: int = 8
    epochs: int = 6
    max_length: int = 24
    precision: str = "fp32"  # type: ignore[assignment]  # one of its values
    dropout: float | None = 0.0


@pytest.fixture(scope="module")
def data() -> Data:
    return paired_data()


@pytest.fixture(scope="module")
def trained(tiny: Path, data: Data) -> tuple[Classifier, list[float]]:
    accuracies: list[float] = []

    def report(epoch: int, probabilities: Any, **numbers: float) -> bool:
        accuracies.append(float((probabilities.argmax(1) == np.array(data.valid.labels)).mean()))
        return True

    return Tiny(checkpoint=str(tiny)).fit(data, 1, report), accuracies


@pytest.fixture(scope="module")
def saved(trained: tuple[Classifier, list[float]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from ftkit.encoders.export import onnx

    folder = tmp_path_factory.mktemp("pairs")
    trained[0].save(folder)
    onnx.export(folder, ENGINES)
    return folder


@pytest.mark.parametrize(
    ("first", "second", "capacity", "read"),
    [
        (3, 4, 9, (3, 4)),
        (3, 40, 9, (3, 6)),
        (40, 3, 9, (6, 3)),
        (40, 40, 9, (4, 5)),
        (41, 40, 9, (5, 4)),
        (5, 6, 9, (4, 5)),
        (0, 40, 9, (0, 9)),
        (9, 9, 0, (0, 0)),
    ],
)
def test_of_a_pair_that_is_too_long_the_longer_side_is_cut(
    first: int, second: int, capacity: int, read: tuple[int, int]
) -> None:
    assert shares(first, second, capacity) == read


def test_the_tokens_of_a_pair_are_those_of_transformers(tiny: Path) -> None:
    tokenizer = tokenizer_of(checkpoint.read(tiny), paired=True)
    own = checkpoint.read(tiny).tokenizer
    sides = ("ship and wave", "", "[SEP] the\n old", "🎸 " * 30, "x" * 90, "bread " * 40)
    for length in (11, 24, tokenizer.limit):
        for first, second in zip(sides, (*sides[1:], sides[0]), strict=True):
            named = inputs(tokenizer.rows([pairs.join(first, second)], length)[0], None)
            expected = own([first], [second], truncation="longest_first", max_length=length)
            assert named["input_ids"].tolist() == expected["input_ids"][0]
            assert named["token_type_ids"].tolist() == expected["token_type_ids"][0]


def test_lengths_are_those_of_the_rows_and_tokens_are_cached_by_the_form(
    tiny: Path, tmp_path: Path, data: Data
) -> None:
    saved = checkpoint.read(tiny)
    texts = [*data.valid.texts, *ODD]
    tokenizer = tokenizer_of(saved, paired=True)
    split = tokenize(texts, tokenizer, 12, tmp_path)
    rows = split.rows(range(len(texts)))
    assert [*split.lengths] == [*map(len, rows)] == tokenizer.lengths(texts, 12)
    assert max(map(len, rows)) == 12
    np.testing.assert_equal(rows, tokenizer.rows(texts, 12))
    single = tokenize(texts, tokenizer_of(saved, paired=False), 12, tmp_path)
    assert len([*tmp_path.glob("tokens-*")]) == 2 and max(single.ids) < SECOND


def test_a_model_learns_which_side_a_word_stands_on(trained: tuple[Classifier, list[float]]) -> None:
    assert trained[1][-1] > 0.9


def test_a_model_that_is_loaded_reads_pairs_as_it_was_trained(
    trained: tuple[Classifier, list[float]], saved: Path, data: Data
) -> None:
    loaded, texts = load(saved), [*data.valid.texts, *ODD]
    np.testing.assert_array_equal(loaded.probabilities(texts), trained[0].probabilities(texts))
    swapped = [pairs.join(*reversed(pairs.sides(text))) for text in data.valid.texts]
    assert (loaded.probabilities(swapped).argmax(1) != np.array(data.valid.labels)).mean() > 0.9
    assert json.loads((saved / "config.json").read_text())["ftkit_pairs"] is True


@pytest.mark.parametrize(("engine", "tolerance"), [("onnx", 1e-4), ("openvino", 0.02), ("onnx-int8", 0.1)])
def test_every_engine_answers_pairs_as_the_model_does(
    trained: tuple[Classifier, list[float]], saved: Path, data: Data, engine: str, tolerance: float
) -> None:
    texts = [*data.valid.texts, *ODD]
    answers = engines.load(saved, engine).probabilities(texts)
    np.testing.assert_allclose(answers, trained[0].probabilities(texts), atol=tolerance)


def test_the_tokenizer_without_transformers_reads_pairs(saved: Path, data: Data) -> None:
    fast, slow = fast_tokenizer.read(saved), fast_tokenizer.read_with_transformers(saved)
    assert fast is not None and isinstance(fast.tokenizer, PairTokenizer)
    texts = [*data.valid.texts, *ODD]
    np.testing.assert_equal(fast.tokenizer.rows(texts, 24), slow.tokenizer.rows(texts, 24))


def test_a_model_of_single_texts_made_of_one_of_pairs_reads_single_texts(saved: Path, tmp_path: Path) -> None:
    single = Tiny(checkpoint=str(saved), epochs=1).fit(separable_data(24), 1, lambda epoch, probabilities, **_: True)
    single.save(tmp_path)
    assert "ftkit_pairs" not in json.loads((tmp_path / "config.json").read_text())
    assert not isinstance(load(tmp_path).tokenizer, PairTokenizer)


@pytest.mark.parametrize("way", ["windows", "head-tail"])
def test_pairs_are_read_in_one_way_only(tiny: Path, data: Data, way: Any) -> None:
    with pytest.raises(
        DataError, match="is for single texts, and these rows are pairs: premise and hypothesis"
    ) as error:
        Tiny(checkpoint=str(tiny), long_texts=way).foresee(data)
    assert "longer side" in error.value.hint


def test_auto_is_the_length_of_pairs(tiny: Path, data: Data) -> None:
    texts = tuple(pairs.join(*(f"{side} " * 6 for side in pairs.sides(text))) for text in data.train.texts)
    encoder = Tiny(checkpoint=str(tiny), max_length="auto")  # type: ignore[arg-type]  # as in a recipe
    long = replace(data, train=replace(data.train, texts=texts))
    assert encoder.adapted(data).max_length < encoder.adapted(long).max_length
    assert replace(encoder, max_length=24).epoch_seconds(data)


def inspected(tiny: Path, data: Data, length: int) -> Inspection:
    return Tiny(checkpoint=str(tiny), max_length=length).inspect(data)


def test_the_inspection_reads_pairs(tiny: Path, data: Data) -> None:
    whole, cut = inspected(tiny, data, 24), inspected(tiny, data, 5)
    assert whole.tokens["cut"] == 0 < cut.tokens["cut"]
    assert whole.tokens["unknown"] == 0 and not {"windows", "read_windows"} & {*cut.tokens}
    assert "raise max_length" in cut.warnings[-1] and "windows" not in "".join(cut.warnings)
    swapped = tuple(pairs.join(*reversed(pairs.sides(text))) for text in data.train.texts)
    other = replace(
        data, train=replace(data.train, texts=(*data.train.texts, *swapped), labels=[*data.train.labels] * 2)
    )
    assert inspected(tiny, other, 24).tokens["same"] < 0.2, "a pair and its reverse are not the same"


def test_pairs_without_labels_are_the_rows_of_two_columns(tmp_path: Path) -> None:
    pytest.importorskip("ftkit_tables")
    (tmp_path / "more.csv").write_text("premise,hypothesis\na ship,a wave\n,alone\nan oven,bread\n", encoding="utf-8")
    encoder = Tiny(teacher="champion", unlabelled=tmp_path / "more.csv", unlabelled_text=PAIR)
    texts = distillation.unlabelled_texts(encoder, PAIR)
    assert [*map(pairs.sides, texts)] == [("a ship", "a wave"), ("an oven", "bread")]
    with pytest.raises(DataError, match="the rows are pairs, premise and hypothesis, and unlabelled_text names 1"):
        distillation.unlabelled_texts(replace(encoder, unlabelled_text=("premise",)), PAIR)
