"""What an encoder says of a data set before any training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftkit.contracts import Data, DataReport, Inspecting, Split
from ftkit.encoders import inspection
from ftkit.encoders.inspection import inspect_texts
from ftkit.encoders.tokenization import Tokenizer
from ftkit.recipe import loader
from ftkit.runs import preparation

SENTENCE = "the lamp I bought broke after one week and the seller never answered any of my letters about it"
ENGLISH = SENTENCE.split()
RARE_HAN = "龘齉鱻麤驫羴掱毳惢槑"


def texts_of(words: Sequence[str], glue: str = " ", rows: int = 40, length: int = 12) -> list[str]:
    drawn = random.Random(1)
    return [glue.join(drawn.choices(words, k=length)) for _ in range(rows)]


def data_of(texts: Sequence[str], labels: Sequence[int] | None = None) -> Data:
    labels = labels or [row % 2 for row in range(len(texts))]
    most = len(texts) * 3 // 4
    report = DataReport("here", len(texts), {}, {}, {}, "")
    train, valid = Split(texts[:most], labels[:most]), Split(texts[most:], labels[most:])
    return Data(("bad", "good"), train, valid, Split((), ()), report)


@pytest.fixture(scope="module")
def minilm() -> Any:
    """The encoder of the quickstart: a vocabulary of lower-cased English."""
    return pytest.importorskip("ftkit_quickstart").minilm.MiniLM(max_length=32)


@pytest.fixture(scope="module")
def bytewise() -> Tokenizer:
    """A tokenizer as RoBERTa's, made of English: it knows every text, by bytes if need be."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<pad>"], initial_alphabet=alphabet)
    made.train_from_iterator(texts_of(ENGLISH, rows=200), trainer)
    return Tokenizer(PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>"), 128)


def test_english_suits_an_english_encoder(minilm: Any) -> None:
    assert isinstance(minilm, Inspecting)
    seen = minilm.inspect(data_of(texts_of(ENGLISH)))
    assert seen.warnings == ()
    assert seen.tokens["texts"] == 40
    assert seen.tokens["unknown"] == seen.tokens["cut"] == seen.tokens["same"] == 0


@pytest.mark.parametrize(
    ("texts", "script"),
    [
        (texts_of(RARE_HAN, ""), "Han"),
        (texts_of("៛កខគឃងចឆជឈញ", ""), "Khmer"),
        (texts_of(["ላምፕ", "ሰበረ", "ከሳምንት"]), "Ethiopic"),
        ([f"lamp {text} broke" for text in texts_of(RARE_HAN, "")], "Han"),
    ],
)
def test_a_script_that_the_vocabulary_lacks_is_named(minilm: Any, texts: list[str], script: str) -> None:
    seen = minilm.inspect(data_of(texts))
    assert seen.tokens["unknown"] > 0.5
    first = seen.warnings[0]
    assert f"of the {script} letters" in first
    assert "Latin" not in first
    assert first.startswith("minilm reads")
    assert "multilingual checkpoint" in first


def test_texts_of_unknown_tokens_become_one_sequence(minilm: Any) -> None:
    texts = texts_of(RARE_HAN, "", rows=300, length=8)
    seen = minilm.inspect(data_of(texts))
    assert seen.tokens["unknown"] == seen.tokens["same"] == seen.tokens["same_other_label"] == 1
    assert "minilm reads 100 % of the tokens as unknown" in seen.warnings[0]
    assert "300 texts become 1 token sequence" in seen.warnings[1]


def test_accents_that_the_tokenizer_folds_are_known(minilm: Any) -> None:
    seen = minilm.inspect(data_of([f"Dés lämpe ñevér {text}" for text in texts_of(ENGLISH)]))
    assert seen.tokens["unknown"] == 0
    assert seen.warnings == ()


@pytest.mark.parametrize(
    ("words", "glue", "script"),
    [
        ("的一是不了人我在有他这为之大来以个中上们", "", "Han"),
        ("あいうえおかきくけこさしすせそ", "", "Hiragana"),
        ("โคมไฟเสียหลังหนึ่งสัปดาห์", "", "Thai"),
        (ENGLISH, " ", ""),
    ],
)
def test_texts_read_as_bytes_are_seen(bytewise: Tokenizer, words: Sequence[str], glue: str, script: str) -> None:
    seen = inspect_texts(bytewise, data_of(texts_of(words, glue)), 128, "bytewise")
    assert seen.tokens["unknown"] == 0
    assert (seen.tokens["tokens_per_character"] > 1.2) == bool(script)
    assert len(seen.warnings) == bool(script)
    if script:
        assert f"of the {script} letters" in seen.warnings[0]
        assert "hardly reads 100 % of the texts" in seen.warnings[0]


ARABIC_SENTENCE = "المصباح انكسر بعد اسبوع واحد والبائع لم يرد على رسائلي"
GERMAN_SENTENCE = "Die Lampe zerbrach nach einer Woche und der Verkäufer antwortete nie auf meine Briefe darüber"


@pytest.mark.parametrize(
    ("texts", "warns"),
    [
        (texts_of(ARABIC_SENTENCE.split()), True),
        (texts_of(ARABIC_SENTENCE.split(), rows=4) + texts_of(ENGLISH, rows=36), True),
        (texts_of(GERMAN_SENTENCE.split()), False),
        (["ok !", "so so", "+ + + +", "1 2 3 4 5", "12:30 - 14:00 (20 %)", *texts_of(ENGLISH)], False),
    ],
)
def test_texts_read_letter_by_letter_are_seen_though_no_token_is_unknown(
    minilm: Any, texts: list[str], warns: bool
) -> None:
    seen = minilm.inspect(data_of(texts))
    assert seen.tokens["unknown"] == 0
    assert ["letter by letter" in warning for warning in seen.warnings] == [True] * warns


@pytest.mark.parametrize(("words", "lost", "warns"), [(29, 0.0, False), (40, 0.25, False), (120, 0.75, True)])
def test_the_share_of_texts_that_are_cut_and_what_they_lose(minilm: Any, words: int, lost: float, warns: bool) -> None:
    texts = [f"number {row} " + "lamp " * (words - 2) for row in range(40)]
    seen = minilm.inspect(data_of(texts))
    assert seen.tokens["cut"] == (lost > 0)
    assert seen.tokens["lost"] == pytest.approx(lost, abs=0.01)
    assert seen.tokens["median_tokens"] == words
    assert [warning for warning in seen.warnings if "the first 32 tokens" in warning] == list(seen.warnings)
    assert len(seen.warnings) == warns
    at_limit = replace(minilm, max_length=10_000).inspect(data_of(["lamp " * 3000 + str(row) for row in range(8)]))
    assert "take a checkpoint that reads more" in at_limit.warnings[-1]


def test_a_length_left_to_the_data_is_that_of_the_training(minilm: Any) -> None:
    automatic = replace(minilm, max_length="auto")
    data = data_of(["lamp " * 100 + f"{row}" for row in range(40)])
    assert automatic.inspect(data).tokens["max_length"] == automatic.adapted(data).max_length


def test_texts_that_differ_only_where_they_are_cut_are_the_same(minilm: Any) -> None:
    letterhead = "lamp " * 60
    seen = minilm.inspect(data_of([f"{letterhead}{row}" for row in range(40)]))
    assert seen.tokens["same"] == seen.tokens["same_other_label"] == 1
    seen = minilm.inspect(data_of([f"{letterhead}{row}" for row in range(40)], [0] * 40))
    assert seen.tokens["same_other_label"] == 0
    assert "other labels" not in " ".join(seen.warnings)


def test_of_many_texts_a_sample_is_read_and_the_warning_says_so(minilm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST_TEXTS", 30)
    seen = minilm.inspect(data_of(texts_of(RARE_HAN, "", rows=100)))
    assert seen.tokens["texts"] == 25
    assert "25 texts (of 25 that were looked at) become 1 token sequence" in seen.warnings[1]


def test_any_text_is_read(minilm: Any) -> None:
    odd = ["", " ", "\ud800", "\x00\x01", "😀" * 50, "x" * 100_000, "[CLS]", "\u200b"]
    assert minilm.inspect(data_of(odd)).tokens["texts"] == 8
    assert minilm.inspect(data_of([])).tokens == {}


def test_the_data_report_of_a_run_has_it_before_any_training(minilm: Any, tmp_path: Path) -> None:
    texts = texts_of(RARE_HAN, "", rows=60, length=8)
    lines = [f"{text},{('bad', 'good')[row % 2]}" for row, text in enumerate(texts)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "han"\n[dataset]\nuse = "table"\npath = "rows.csv"\n[backbone]\nuse = "minilm"\n')
    plan = loader.load(recipe)
    data = preparation.loaded(plan.dataset, plan.seed, lambda event: None)
    report = preparation.inspected(plan, data).report
    assert report.tokens["unknown"] == 1
    assert any("100 % of the Han letters" in warning for warning in report.warnings)
