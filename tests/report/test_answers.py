"""What the answers to the test rows show, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.contracts import Data, DataReport, Split
from ftkit.evaluation import metrics
from ftkit.report import answers as results
from ftkit.report.facts import Answers

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)


def answered(candidate: list[int], champion: list[int] | None, labels: list[int], certainty: float = 0.8) -> Answers:
    """Answers by class index, each with this certainty, a little more in later rows."""
    texts = [f"text {row}" for row in range(len(labels))]
    data = Data(("a", "b", "c"), Split((), ()), Split((), ()), Split(texts, labels), REPORT)

    def probabilities(classes: list[int]) -> np.ndarray:
        certain = certainty + min(0.01, 0.19 / len(classes)) * np.arange(len(classes))
        table = np.repeat((1 - certain)[:, None] / 2, 3, axis=1)
        table[np.arange(len(classes)), classes] = certain
        return table

    return Answers(data, probabilities(candidate), probabilities(champion) if champion is not None else None, 7)


LABELS = [0, 0, 1, 1, 2, 2, 2]
CANDIDATE = [0, 1, 1, 1, 2, 0, 1]
CHAMPION = [1, 0, 1, 0, 2, 2, 0]


def test_confusions_count_rows_by_label_and_answer() -> None:
    answers = answered(CANDIDATE, None, LABELS)
    assert results.confusion(answers.candidate, answers.labels).tolist() == [[1, 1, 0], [0, 2, 0], [1, 1, 1]]


def test_flipped_rows_are_fixed_broken_or_wrong_with_another_answer_and_the_most_certain_come_first() -> None:
    flips = results.flipped(answered(CANDIDATE, CHAMPION, LABELS))
    assert flips is not None
    assert [each.row for each in flips.fixed.shown] == [4, 1]
    assert [each.row for each in flips.broken.shown] == [6, 2]
    assert (flips.fixed.total, flips.broken.total, flips.other, flips.agree) == (2, 2, 1, 2)
    assert flips.p == 1.0
    first = flips.broken.shown[0]
    assert (first.text, first.truth, first.candidate, first.champion) == ("text 5", "c", "a", "c")
    assert (first.certainty, first.champion_certainty) == (pytest.approx(0.85), pytest.approx(0.85))


def test_without_a_champion_nothing_flips() -> None:
    assert results.flipped(answered(CANDIDATE, None, LABELS)) is None


def test_the_worst_mistakes_are_the_most_certain_and_all_are_counted() -> None:
    worst = results.worst(answered(CANDIDATE, None, LABELS), most=2)
    assert [each.row for each in worst.shown] == [7, 6]
    assert worst.total == 3
    assert math.isnan(worst.shown[0].champion_certainty)


def test_metrics_have_intervals_and_a_gain_that_is_positive_when_the_candidate_is_better() -> None:
    labels = [0, 1, 2] * 40
    answers = answered(labels, [0, 1, 1] * 40, labels, certainty=0.5)
    for row in results.scored(answers):
        assert row.champion is not None
        assert row.gain is not None
        assert row.candidate.low <= row.candidate.value <= row.candidate.high
        raw = row.candidate.value - row.champion.value
        assert row.gain.value == pytest.approx(raw if metrics.GREATER_IS_BETTER[row.metric] else -raw)
        assert row.gain.low <= row.gain.value <= row.gain.high


def test_parts_are_the_classes_the_lengths_and_the_columns_with_few_values() -> None:
    answers = answered(CANDIDATE, CHAMPION, LABELS)
    test = Split(answers.data.test.texts, LABELS, {"shop": ["x", "y"] * 3 + ["x"], "id": list(range(7))})
    data = Data(answers.data.classes, answers.data.train, answers.data.valid, test, REPORT)
    rows = {row.title: row for row in results.sliced(Answers(data, answers.candidate, answers.champion, 7), "macro_f1")}
    assert {"class a", "class b", "class c", "2 words", "shop x", "shop y"} <= set(rows)
    assert (rows["class a"].candidate.value, rows["class a"].rows, rows["class a"].metric) == (0.5, 2, "accuracy")
    assert rows["shop x"].rows == 4


def test_few_rows_have_fewer_bins() -> None:
    many = answered([0, 1, 2] * 40, None, [0, 1, 1] * 40, certainty=0.5)
    assert len(results.reliability_bins(many.candidate, many.labels).rows) == 10
    few = answered(CANDIDATE, None, LABELS)
    assert len(results.reliability_bins(few.candidate, few.labels).rows) == 5


@pytest.mark.parametrize(("rows", "resamples"), [(1, 1000), (5000, 1000), (10_000, 500), (10**7, 200)])
def test_many_rows_are_resampled_less_often(rows: int, resamples: int) -> None:
    assert results.resamples(rows) == resamples
