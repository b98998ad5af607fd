"""What the answers to the test rows come to, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.contracts import Data, DataReport, Split
from ftkit.evaluation import metrics
from ftkit.report import answers as read
from ftkit.report.facts import Answers

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)


def answered(candidate: list[int], champion: list[int] | None, labels: list[int], certainty: float = 0.8) -> Answers:
    """Answers by class index, each given with this certainty, the later rows a little more."""
    texts = [f"text {row}" for row in range(len(labels))]
    data = Data(("a", "b", "c"), Split((), ()), Split((), ()), Split(texts, labels), REPORT)

    def spread(said: list[int]) -> np.ndarray:
        sure = certainty + min(0.01, 0.19 / len(said)) * np.arange(len(said))
        found = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
        found[np.arange(len(said)), said] = sure
        return found

    return Answers(data, spread(candidate), spread(champion) if champion is not None else None, 7)


LABELS = [0, 0, 1, 1, 2, 2, 2]
CANDIDATE = [0, 1, 1, 1, 2, 0, 1]
CHAMPION = [1, 0, 1, 0, 2, 2, 0]


def test_confusions_are_rows_by_label_and_answer() -> None:
    found = answered(CANDIDATE, None, LABELS)
    assert read.confusion(found.candidate, found.labels).tolist() == [[1, 1, 0], [0, 2, 0], [1, 1, 1]]


def test_flips_are_fixed_broken_or_wrong_in_another_way_the_most_certain_first() -> None:
    flips = read.flipped(answered(CANDIDATE, CHAMPION, LABELS))
    assert flips is not None
    assert [each.row for each in flips.fixed.shown] == [4, 1]
    assert [each.row for each in flips.broken.shown] == [6, 2]
    assert (flips.fixed.total, flips.broken.total, flips.other, flips.agree) == (2, 2, 1, 2)
    assert flips.p == 1.0
    first = flips.broken.shown[0]
    assert (first.text, first.truth, first.candidate, first.champion) == ("text 5", "c", "a", "c")
    assert (first.certainty, first.others) == (pytest.approx(0.85), pytest.approx(0.85))


def test_without_a_champion_nothing_flips() -> None:
    assert read.flipped(answered(CANDIDATE, None, LABELS)) is None


def test_the_worst_errors_are_the_most_certain_and_counted_beyond_those_shown() -> None:
    worst = read.worst(answered(CANDIDATE, None, LABELS), most=2)
    assert [each.row for each in worst.shown] == [7, 6]
    assert worst.total == 3
    assert math.isnan(worst.shown[0].others)


def test_metrics_have_intervals_and_a_gain_that_is_positive_where_the_candidate_is_better() -> None:
    labels = [0, 1, 2] * 40
    found = answered(labels, [0, 1, 1] * 40, labels, certainty=0.5)
    for row in read.scored(found):
        assert row.champion is not None
        assert row.gain is not None
        assert row.candidate.low <= row.candidate.value <= row.candidate.high
        raw = row.candidate.value - row.champion.value
        assert row.gain.value == pytest.approx(raw if metrics.GREATER_IS_BETTER[row.metric] else -raw)
        assert row.gain.low <= row.gain.value <= row.gain.high


def test_parts_are_the_classes_the_lengths_and_the_columns_with_few_values() -> None:
    found = answered(CANDIDATE, CHAMPION, LABELS)
    test = Split(found.data.test.texts, LABELS, {"shop": ["x", "y"] * 3 + ["x"], "id": list(range(7))})
    data = Data(found.data.classes, found.data.train, found.data.valid, test, REPORT)
    rows = {row.title: row for row in read.sliced(Answers(data, found.candidate, found.champion, 7), "macro_f1")}
    assert {"class a", "class b", "class c", "2 words", "shop x", "shop y"} <= set(rows)
    assert (rows["class a"].candidate.value, rows["class a"].rows, rows["class a"].metric) == (0.5, 2, "accuracy")
    assert rows["shop x"].rows == 4


def test_few_rows_make_fewer_bins() -> None:
    many = answered([0, 1, 2] * 40, None, [0, 1, 1] * 40, certainty=0.5)
    assert len(read.reliable(many.candidate, many.labels).rows) == 10
    few = answered(CANDIDATE, None, LABELS)
    assert len(read.reliable(few.candidate, few.labels).rows) == 5


@pytest.mark.parametrize(("rows", "often"), [(1, 1000), (5000, 1000), (10_000, 500), (10**7, 200)])
def test_many_rows_are_resampled_less_often(rows: int, often: int) -> None:
    assert read.resamples(rows) == often
