"""The promotion test of a model that leaves texts unanswered: it counts, and fails where the promise is contradicted."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from ftkit.contracts import AnswerRule, Classifier, Contender, Data, DataReport, Split
from ftkit.evaluation.promised_risk import SelectiveRisk

PROMISED = AnswerRule(below=0.8, abstains=True, risk=0.05, confidence=0.9, rows=100)


def contender(sure_right: int, sure_wrong: int, unsure: int, rule: AnswerRule | None) -> Contender:
    """So many rows of one class of two, by how they are answered."""
    counts = (sure_right, sure_wrong, unsure)
    given = np.repeat([[0.1, 0.9], [0.9, 0.1], [0.6, 0.4]], counts, axis=0)
    split = Split(["a text"] * sum(counts), [1] * sum(counts))
    report = DataReport(source="made", rows_read=sum(counts), dropped={}, counts={}, lengths={}, fingerprint="0")
    data = Data(("ham", "spam"), Split((), ()), Split((), ()), split, report)
    return Contender("the candidate", Path(), cast(Classifier, None), given, data, "accuracy", 0, rule=rule)


@pytest.mark.parametrize(
    ("rows", "rule", "status", "sentence"),
    [
        ((95, 5, 20), PROMISED, "passed", "83.3 % of 120 test rows are answered, 5.0 % of them wrongly"),
        ((92, 8, 0), PROMISED, "passed", "100.0 % of 100 test rows"),
        ((88, 12, 0), PROMISED, "failed", "which so many wrong answers contradict (p = 0.00"),
        ((0, 0, 10), PROMISED, "failed", "none of the test rows is answered"),
        ((5, 5, 0), AnswerRule(below=0.8, abstains=True), "not applicable", "no risk is promised"),
        ((5, 5, 0), AnswerRule(thresholds={"spam": 0.7}), "not applicable", "answers every text"),
        ((5, 5, 0), None, "not applicable", "answers every text"),
    ],
)  # fmt: skip
def test_it_fails_only_where_the_rows_contradict_the_promise(
    rows: tuple[int, int, int], rule: AnswerRule | None, status: str, sentence: str
) -> None:
    verdict = SelectiveRisk().check(contender(*rows, rule), None)
    assert (verdict.status, sentence in verdict.sentence) == (status, True), verdict.sentence
    if rows == (95, 5, 20):
        assert verdict.numbers["coverage"] == pytest.approx(100 / 120)
        assert verdict.numbers["unanswered_risk"] == 1
