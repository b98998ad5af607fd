"""Token ids: the same with and without the cache, at any length, for any text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.contracts import Split
from ftkit.data import stored_rows
from ftkit.encoders import checkpoint
from ftkit.encoders.tokenization import Tokenizer, clean, tokenize
from ftkit.errors import LedgerError
from ftkit.testing.backbones import ODD_TEXTS, separable


@pytest.fixture(scope="module")
def tokenizer(tiny):
    read = checkpoint.read(tiny)
    return Tokenizer(read.tokenizer, read.limit)


@pytest.mark.parametrize("length", [3, 8, 128, 512])
def test_rows_are_what_transformers_would_make(tokenizer, length):
    texts = [*separable(20, 1).texts, "word " * 300, ""]
    expected = tokenizer.wrapped(texts, truncation=True, max_length=min(length, 128))["input_ids"]
    tokenizer.wrapped.backend_tokenizer.no_truncation()
    split = tokenize(texts, tokenizer, length, None)
    assert [row.tolist() for row in split.rows(range(len(texts)))] == expected
    assert split.lengths.tolist() == list(map(len, expected))


def test_cached_tokens_are_the_same_and_computed_once(tokenizer, tmp_path, monkeypatch):
    texts = [*separable(30, 1).texts, *ODD_TEXTS]
    without_cache = tokenize(texts, tokenizer, 20, None)
    written = tokenize(texts, tokenizer, 20, tmp_path)
    monkeypatch.setattr(Tokenizer, "encode", lambda *_: pytest.fail("encoded again"))
    read = tokenize(texts, tokenizer, 20, tmp_path)
    assert isinstance(read.ids, np.memmap)
    for rows in zip(*(split.rows(range(len(texts))) for split in (without_cache, written, read)), strict=True):
        assert rows[0].tolist() == rows[1].tolist() == rows[2].tolist()


def test_texts_of_a_run_are_known_by_its_data_and_not_read_again(tokenizer, tmp_path, monkeypatch):
    texts = [*separable(50, 1).texts, *ODD_TEXTS]
    stored_rows.write(tmp_path / "rows.arrow", Split(texts, [0] * len(texts)))
    stored = stored_rows.read(tmp_path / "rows.arrow", "data-train").texts
    monkeypatch.setattr("ftkit.encoders.tokenization._CHUNK", 7)
    written = tokenize(stored, tokenizer, 20, tmp_path)
    without_cache = tokenize(texts, tokenizer, 20, None)
    assert [row.tolist() for row in written.rows(range(len(texts)))] == [
        row.tolist() for row in without_cache.rows(range(len(texts)))
    ]
    monkeypatch.setattr(type(stored), "at", lambda *_: pytest.fail("read again"))
    assert len(tokenize(stored, tokenizer, 20, tmp_path)) == len(texts)
    other = stored_rows.read(tmp_path / "rows.arrow", "data-valid").texts
    with pytest.raises(pytest.fail.Exception, match="read again"):
        tokenize(other, tokenizer, 20, tmp_path)


def test_the_cache_distinguishes_texts_that_are_equal_when_joined(tokenizer, tmp_path):
    one = tokenize(["a ship"], tokenizer, 20, tmp_path)
    other = tokenize(["a", "ship"], tokenizer, 20, tmp_path)
    assert (len(one), len(other)) == (1, 2)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_texts_without_tokens_are_cached_too(tokenizer, tmp_path, texts):
    for _ in range(2):
        assert len(tokenize(texts, tokenizer, 20, tmp_path)) == len(texts)


def test_trials_that_start_together_write_one_folder(tokenizer, tmp_path):
    texts = separable(200, 1).texts
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: tokenize(texts, tokenizer, 20, tmp_path).ids.tolist(), range(8)))
    assert all(each == ids[0] for each in ids)
    assert [path.name.startswith("tokens-") for path in tmp_path.iterdir() if path.is_dir()] == [True]


def test_a_cache_that_cannot_be_written_is_named(tokenizer, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LedgerError, match="tokens cannot be stored") as caught:
        tokenize(["a ship"], tokenizer, 20, file)
    assert caught.value.where == str(file)


def test_halves_of_a_surrogate_pair_become_their_character():
    assert clean("\ud83c\udfb8 solo \ud83d", 100) == "🎸 solo �"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_every_text_has_a_row(tokenizer, text):
    (row,) = tokenizer.rows([text], 16)
    assert 2 <= len(row) <= 16
