"""Tokens: the same from the cache as without, at any length, for any text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.encoders import checkpoint
from ftkit.encoders.tokenization import Words, clean, tokenised
from ftkit.errors import LedgerError
from ftkit.testing.backbones import ODD_TEXTS, separable


@pytest.fixture(scope="module")
def words(tiny):
    read = checkpoint.read(tiny)
    return Words(read.tokenizer, read.limit)


@pytest.mark.parametrize("length", [3, 8, 128, 512])
def test_rows_are_what_transformers_would_make(words, length):
    texts = [*separable(20, 1).texts, "word " * 300, ""]
    expected = words.tokenizer(texts, truncation=True, max_length=min(length, 128))["input_ids"]
    words.tokenizer.backend_tokenizer.no_truncation()
    found = tokenised(texts, words, length, None)
    assert [row.tolist() for row in found.rows(range(len(texts)))] == expected
    assert found.lengths.tolist() == list(map(len, expected))


def test_cached_tokens_are_the_same_and_made_once(words, tmp_path, monkeypatch):
    texts = [*separable(30, 1).texts, *ODD_TEXTS]
    fresh = tokenised(texts, words, 20, None)
    kept = tokenised(texts, words, 20, tmp_path)
    monkeypatch.setattr(Words, "own", lambda *_: pytest.fail("tokenised again"))
    again = tokenised(texts, words, 20, tmp_path)
    assert isinstance(again.ids, np.memmap)
    for rows in zip(*(each.rows(range(len(texts))) for each in (fresh, kept, again)), strict=True):
        assert rows[0].tolist() == rows[1].tolist() == rows[2].tolist()


def test_other_texts_are_other_tokens(words, tmp_path):
    one = tokenised(["a ship"], words, 20, tmp_path)
    other = tokenised(["a", "ship"], words, 20, tmp_path)
    assert (len(one), len(other)) == (1, 2)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_nothing_to_tokenise_is_kept_too(words, tmp_path, texts):
    for _ in range(2):
        assert len(tokenised(texts, words, 20, tmp_path)) == len(texts)


def test_trials_that_start_together_make_one_file(words, tmp_path):
    texts = separable(200, 1).texts
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tokenised(texts, words, 20, tmp_path).ids.tolist(), range(8)))
    assert all(each == found[0] for each in found)
    assert sorted(path.name.startswith("tokens-") for path in tmp_path.iterdir() if path.is_dir()) == [True]


def test_a_cache_that_cannot_be_written_is_named(words, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LedgerError, match="tokens cannot be kept"):
        tokenised(["a ship"], words, 20, file)


def test_halves_of_a_surrogate_pair_become_their_character():
    assert clean("\ud83c\udfb8 solo \ud83d", 100) == "🎸 solo �"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_every_text_has_tokens(words, text):
    row = words.row(words.own([text])[0], 16)
    assert 2 <= len(row) <= 16
