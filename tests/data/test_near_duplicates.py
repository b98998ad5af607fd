"""Near copies: exactly those that a comparison of all texts with all texts finds."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from ftkit.data import near_duplicates, shared_shingles, shingle_sets
from ftkit.data.near_duplicates import clusters, twins
from ftkit.data.shingles import normal
from ftkit.errors import DataError


def prose(rows: int, seed: int, words: int = 20) -> list[str]:
    """Texts that share hardly any run of words."""
    drawn = random.Random(seed)
    return [" ".join(f"w{drawn.randrange(5000)}" for _ in range(words)) for _ in range(rows)]


def altered(texts: list[str], seed: int, most: int = 5) -> list[str]:
    """The same texts with some words replaced."""
    drawn = random.Random(seed)
    results = []
    for text in texts:
        words = text.split()
        for _ in range(drawn.randrange(most + 1)):
            words[drawn.randrange(len(words))] = "new"
        results.append(" ".join(words))
    return results


def runs(text: str, length: int = 3) -> set[tuple[str, ...]]:
    words = normal(text).split(" ")
    return {tuple(words[at : at + length]) for at in range(max(1, len(words) - length + 1))}


def similarity(one: str, other: str) -> float:
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def linked(texts: list[str], threshold: float) -> list[list[int]]:
    """Clusters by comparing all with all."""
    cluster = list(range(len(texts)))
    for one in range(len(texts)):
        for other in range(one):
            if similarity(texts[one], texts[other]) >= threshold:
                cluster = [cluster[other] if number == cluster[one] else number for number in cluster]
    groups = [[row for row in range(len(texts)) if cluster[row] == number] for number in set(cluster)]
    return sorted(group for group in groups if len(group) > 1)


def test_the_similarity_is_jaccards_counted_by_hand() -> None:
    # Runs of two words: {ab, bc, cd} and {ab, bc, ce}: two shared of four.
    assert [twin.similarity for twin in twins(["a b c d"], ["a b c e"], 0.5, 2)] == [0.5]
    assert twins(["a b c d"], ["a b c e"], 0.51, 2) == []
    assert clusters(["a b c d", "x", "a b c e"], 0.5, 2) == [[0, 2]]
    assert clusters(["a b c d", "x", "a b c e"], 0.51, 2) == []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_near_copies_are_those_of_comparing_all_with_all(threshold: float) -> None:
    train = prose(120, 4)
    test = altered(train[:80], 3)
    expected = {}
    for row, text in enumerate(test):
        best = max(similarity(text, other) for other in train)
        if best >= threshold:
            expected[row] = pytest.approx(best)
    assert {twin.row: twin.similarity for twin in twins(test, train, threshold, 3, 7)} == expected
    assert len(expected) >= 10


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_clusters_are_those_of_comparing_all_with_all(threshold: float) -> None:
    originals = prose(60, 5)
    texts = [*originals, *altered(originals[:30], 6, 2), *altered(originals[:20], 7, 2), *prose(20, 8)]
    random.Random(9).shuffle(texts)
    groups = clusters(texts, threshold)
    assert groups == linked(texts, threshold)
    assert len(groups) >= 10


def test_a_chain_of_near_copies_is_one_cluster() -> None:
    words = [f"w{number}" for number in range(40)]
    chain = [" ".join([*(f"x{step}" for step in range(turn)), *words[turn:]]) for turn in range(0, 12, 2)]
    assert similarity(chain[0], chain[-1]) < near_duplicates.THRESHOLD < similarity(chain[0], chain[1])
    assert clusters([*prose(5, 1), *chain]) == [[5, 6, 7, 8, 9, 10]]


def test_every_repeated_text_counts_and_the_first_of_the_others_is_named() -> None:
    pairs = twins(["A lamp.", "a   LAMP", "another lamp"], ["x", "a lamp", "A lamp!"], 0.9)
    assert [(twin.row, twin.other) for twin in pairs] == [(0, 1), (1, 1)]
    assert clusters(["A lamp.", "a   LAMP", "another lamp", "a lamp!"]) == [[0, 1, 3]]


def test_texts_without_words_are_compared_as_they_are() -> None:
    odd = ["", "   ", "half \ud800 a pair", "\udc80", "😀" * 50, "line\nbreak\x00\x1b[31m", "x" * 5000]
    assert [twin.row for twin in twins(odd, odd[2:])] == [2, 3, 4, 5, 6]
    assert twins([*odd, "!"], ["?", "\udc81"]) == []
    assert clusters(odd) == [[0, 1]]
    assert clusters([]) == clusters(["a"]) == twins([], ["a"]) == twins(["a"], []) == []


def test_thousands_of_similar_texts_are_compared_in_seconds() -> None:
    drawn = random.Random(1)
    short = [" ".join(drawn.choices(["good", "bad", "lamp", "nice"], k=4)) for _ in range(6000)]
    begun = time.process_time()
    assert len(twins(short[:2000], [f"{text} indeed" for text in short[2000:]], 0.6, 2)) > 1000
    same = [f"{text}{'!' * (index % 7)}" for index, text in enumerate(["the very same words again"] * 5000)]
    assert clusters(same) == [list(range(5000))]
    assert time.process_time() - begun < 20


def test_long_texts_that_share_only_their_beginning_are_not_near_copies() -> None:
    letterhead = " ".join(f"h{number}" for number in range(60))
    assert clusters([f"{letterhead} {text}" for text in prose(400, 2, 60)]) == []


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have shingles and sets in files, whatever their number."""
    for name, value in (("IN_MEMORY", 10), ("WRITTEN", 300), ("FILES", 4)):
        monkeypatch.setattr(shared_shingles, name, value)
    monkeypatch.setattr(shingle_sets, "IN_MEMORY", 10)
    monkeypatch.setattr(shingle_sets, "TEXTS", 7)


@pytest.mark.parametrize("threshold", [0.4, 0.7])
def test_clusters_and_twins_from_files_are_those_from_memory(threshold: float, request: pytest.FixtureRequest) -> None:
    originals = prose(300, 7)
    copies = [*altered(originals[:80], 8, 2), *altered(originals[:40], 9, 6), *originals[100:110], "one two three"]
    before = clusters([*originals, *copies], threshold), twins(originals, copies, threshold)
    assert before[0] and before[1]
    request.getfixturevalue("on_disk")
    assert (clusters([*originals, *copies], threshold), twins(originals, copies, threshold)) == before


@pytest.mark.usefixtures("on_disk")
def test_a_disk_without_room_for_the_comparison_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="the comparison of texts cannot be written to the disk"):
        clusters(prose(20, 5))


def test_the_size_of_blocks_does_not_change_the_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = prose(60, 5)
    texts = [*originals, *altered(originals[:30], 6, 2), *(f"the same words in {letter}" for letter in "abcdefgh")]
    before = clusters(texts)
    monkeypatch.setattr(shared_shingles, "STRETCH", 5)
    monkeypatch.setattr(shingle_sets, "BLOCK", 50)
    assert clusters(texts) == before
