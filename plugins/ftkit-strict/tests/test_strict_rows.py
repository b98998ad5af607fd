"""Leakage, label noise, degenerate answers, agreement, and verdicts on odd rows."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.agreement import Agreement
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.label_noise import LabelNoise, suspects
from ftkit_strict.leakage import Leakage


def prose(rows: int, seed: int, words: int = 30) -> list[str]:
    """Texts that share hardly any sequence of words."""
    generator = random.Random(seed)
    return [" ".join(f"w{generator.randrange(5000)}" for _ in range(words)) for _ in range(rows)]


def split(bench: Any, test: list[str], train: list[str]) -> Any:
    return bench.scored([0.9] * len(test), [1] * len(test), texts=test, train=train)


# ------------------------------------------------------------------------------------------ leakage


def test_a_clean_split_passes_and_a_leaky_one_fails(bench: Any) -> None:
    train, test = prose(300, 1), prose(100, 2)
    clean = Leakage().check(split(bench, test, train), None)
    assert (clean.status, clean.numbers["share"], clean.figure) == ("passed", 0, None)
    copy, near = train[5].upper() + "!", train[9].replace(train[9].split()[0], "other", 1)
    verdict = Leakage().check(split(bench, [*test, copy, near], train), None)
    assert verdict.status == "failed"
    assert (verdict.numbers["copies"], verdict.numbers["near_copies"]) == (1, 1)
    assert (verdict.numbers["pair 1: test row"], verdict.numbers["pair 1: training row"]) == (101, 6)
    assert (verdict.numbers["pair 2: test row"], verdict.numbers["pair 2: training row"]) == (102, 10)
    assert "test row 101" in verdict.sentence
    assert verdict.numbers["other_label"] == 2
    assert Leakage(max_share=0.05).check(split(bench, [*test, copy, near], train), None).status == "passed"


def test_without_training_rows_leakage_does_not_apply(bench: Any) -> None:
    assert Leakage().check(split(bench, ["a"], []), None).status == "not applicable"


# -------------------------------------------------------------------------------------- label noise


def test_a_label_that_the_model_contradicts_with_confidence_is_suspect() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    labels = np.array([0, 0, 0, 1, 1, 0])
    # Averages of a label's own probability: (0.9 + 0.8 + 0.7 + 0.05) / 4 for the first class and 0.85 for the second.
    rows, classes = suspects(probabilities, labels)
    assert (rows.tolist(), classes.tolist()) == ([5], [1])
    # 0.8 is below that average, so the same row with 0.8 is doubtful but not suspect.
    probabilities[5] = [0.2, 0.8]
    assert suspects(probabilities, labels)[0].tolist() == []


def test_flipped_labels_are_found_the_worst_first(bench: Any) -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 500)
    scores = np.clip(np.where(truth == 1, 0.85, 0.15) + generator.normal(0, 0.08, 500), 0.01, 0.99)
    labels = truth.copy()
    flipped = generator.choice(500, 25, replace=False)
    labels[flipped] = 1 - labels[flipped]
    rows, _ = suspects(np.stack([1 - scores, scores], axis=1), labels)
    assert set(rows.tolist()) <= set(flipped.tolist())
    assert len(rows) >= 10
    verdict = LabelNoise().check(bench.scored(scores, labels.tolist()), None)
    assert verdict.status == "passed"
    assert f"row {rows[0] + 1} " in verdict.sentence
    assert verdict.numbers["suspect 1"] == rows[0] + 1
    assert LabelNoise(max_share=0.01).check(bench.scored(scores, labels.tolist()), None).status == "failed"


def test_rows_of_one_class_have_no_suspects(bench: Any) -> None:
    assert LabelNoise(max_share=0.0).check(bench.scored([0.9, 0.1, 0.2], [1, 1, 1]), None).status == "passed"


def test_nan_fails_only_where_a_share_is_required(bench: Any) -> None:
    broken = bench.scored([0.9, math.nan], [1, 0])
    assert LabelNoise().check(broken, None).status == "not applicable"
    assert LabelNoise(max_share=0.5).check(broken, None).status == "failed"


# --------------------------------------------------------------------------------------- degenerate


def test_valid_answers_pass(bench: Any) -> None:
    verdict = NotDegenerate().check(bench.scored([0.9, 0.2, 0.6, 0.3], [1, 0, 1, 0]), None)
    assert verdict.status == "passed"
    assert verdict.numbers["answered positive"] == 2


@pytest.mark.parametrize(
    ("scores", "fault"),
    [
        ([[0.1, 0.9]] * 4, "every row is answered 'positive'"),
        ([[0.1, 0.9]] * 4, "all rows have the same probabilities"),
        ([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]], "every row is answered"),
        (
            [[0.1, 0.9], [0.9, math.nan], [0.3, 0.7], [0.6, 0.4]],
            "1 row with probabilities that are not finite numbers, the first is row 2",
        ),
        ([[0.1, math.inf], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]], "not finite numbers"),
        ([[0.1, 0.9], [0.9, 0.3], [0.3, 0.7], [0.6, 0.4]], "do not add up to one, the first is row 2 with 1.2"),
        ([[-0.2, 1.2], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]], "do not add up to one"),
    ],
)
def test_degenerate_answers_fail_and_are_named(bench: Any, scores: Any, fault: str) -> None:
    verdict = NotDegenerate().check(bench.scored(scores, [1, 0, 1, 0]), None)
    assert verdict.status == "failed"
    assert fault in verdict.sentence


def test_a_class_never_answered_fails_when_there_are_rows_of_it(bench: Any) -> None:
    bench.classes = ("a", "b", "c")
    scores = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]] * 6
    labels = [0, 1] * 3 + [2] * 6
    verdict = NotDegenerate().check(bench.scored(scores, labels), None)
    assert (verdict.status, verdict.sentence) == ("failed", "never answered: c")
    assert NotDegenerate(min_support=7).check(bench.scored(scores, labels), None).status == "passed"
    assert (
        NotDegenerate(min_support=7, max_answer_share=0.4).check(bench.scored(scores, labels), None).status == "failed"
    )


def test_rows_of_one_class_may_all_be_answered_alike(bench: Any) -> None:
    assert NotDegenerate().check(bench.scored([0.9, 0.8, 0.7], [1, 1, 1]), None).status == "passed"
    assert NotDegenerate().check(bench.scored([0.9], [0]), None).status == "passed"


def test_no_rows_and_no_finite_rows_fail(bench: Any) -> None:
    assert NotDegenerate().check(bench.scored(np.zeros((0, 2)), []), None).status == "failed"
    assert NotDegenerate().check(bench.scored([math.nan] * 9, [0, 1, 0] * 3), None).status == "failed"


# ---------------------------------------------------------------------------------------- agreement


def test_agreement_counts_and_names_the_rows_that_differ(bench: Any) -> None:
    labels = [1, 1, 0, 0]
    one = bench.scored([0.9, 0.9, 0.9, 0.1], labels, texts=["first", "second", "third", "fourth"])
    champion = bench.scored([0.9, 0.1, 0.1, 0.1], labels, title="champion version 3")
    verdict = Agreement().check(one, champion)
    assert verdict.status == "passed"
    assert verdict.numbers["agreement"] == 0.5
    assert (verdict.numbers["gained"], verdict.numbers["lost"], verdict.numbers["neither"]) == (1, 1, 0)
    assert (verdict.numbers["differs 1"], verdict.numbers["differs 2"]) == (2, 3)
    assert "row 2 “second” negative → positive" in verdict.sentence
    assert verdict.figure is not None
    assert Agreement(at_least=0.5).check(one, champion).status == "passed"
    assert Agreement(at_least=0.6).check(one, champion).status == "failed"


def test_agreement_fails_only_where_a_share_is_required(bench: Any) -> None:
    one = bench.scored([0.9, math.nan], [1, 1])
    other = bench.scored([0.1, 0.1], [1, 1])
    assert Agreement().check(other, one).status == "not applicable"
    assert Agreement(at_least=0.0).check(other, one).status == "failed"
    assert Agreement().check(other, None).status == "not applicable"
    assert Agreement().check(other, bench.scored([0.9, 0.9], [1, 1])).status == "passed"
    same = Agreement().check(other, replace(other, title="champion version 1"))
    assert same.numbers["agreement"] == 1
    assert same.figure is None


# ----------------------------------------------------------------------------------------- odd texts


def test_sentences_about_odd_texts_are_printable(bench: Any, odd_texts: list[str]) -> None:
    labels = [0, 1] * 4
    one = bench.scored([0.9, 0.1] * 4, labels, texts=odd_texts, train=odd_texts)
    other = bench.scored([0.1, 0.9] * 4, labels, title="champion version 1")
    for test in (Agreement(show=9), LabelNoise(show=9), Leakage(show=9), NotDegenerate()):
        verdict = test.check(one, other)
        verdict.sentence.encode()
        assert verdict.sentence.isprintable()


def test_importing_the_plugin_loads_no_plotting_and_no_statistics_package() -> None:
    script = "import sys, ftkit_strict; print([each for each in ('matplotlib', 'scipy', 'numpy', 'torch') if each in sys.modules])"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == "[]"
