"""Calibration: which models pass, and what the verdict shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.calibration import Calibration


def candidate_of(bench: Any, power: float, rows: int = 2000) -> Any:
    """A candidate that is right with its certainty to this power: 1 is calibrated."""
    random = np.random.default_rng(1)
    certainty = random.uniform(0.5, 1, rows)
    labels = (random.random(rows) < certainty**power).astype(int)
    return bench.scored(certainty, labels.tolist())


def test_a_calibrated_model_passes_and_one_too_sure_of_itself_fails(bench: Any) -> None:
    good, bad = (
        Calibration(max_error=0.05).check(candidate_of(bench, 1), None),
        Calibration().check(candidate_of(bench, 4), None),
    )
    assert (good.status, bad.status) == ("passed", "failed")
    assert "surer than right" in bad.sentence
    assert good.figure is not None
    assert abs(good.numbers["error"] - good.numbers["by_chance"]) < 0.015
    assert bad.numbers["error"] > 5 * bad.numbers["by_chance"]


def test_the_brier_score_is_judged_when_a_limit_is_given(bench: Any) -> None:
    candidate = candidate_of(bench, 1)
    assert Calibration(max_brier=0.5).check(candidate, None).status == "passed"
    assert Calibration(max_brier=0.1).check(candidate, None).status == "failed"


def test_the_champions_error_is_shown_beside_it(bench: Any) -> None:
    candidate = candidate_of(bench, 1)
    sure = np.where(candidate.probabilities > 0.5, 1.0, 0.0)
    verdict = Calibration().check(candidate, replace(candidate, probabilities=sure, title="champion version 2"))
    assert verdict.numbers["champion_error"] > verdict.numbers["error"]
    assert "champion version 2" in verdict.sentence


def test_an_error_that_chance_explains_is_not_judged_and_a_greater_one_is(bench: Any) -> None:
    doubtful = bench.scored([0.7] * 6, [1] * 3 + [0] * 3)
    verdict = Calibration(max_error=0.1).check(doubtful, None)
    assert verdict.numbers["error"] == pytest.approx(0.2)
    assert verdict.status == "not applicable"
    assert "chance" in verdict.sentence
    assert Calibration(max_error=0.1).check(bench.scored([0.99] * 6, [1] * 2 + [0] * 4), None).status == "failed"
    assert Calibration(max_error=0.1, max_brier=0.1).check(doubtful, None).status == "failed"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_get_a_verdict(bench: Any, rows: int) -> None:
    assert Calibration().check(bench.scored([0.9] * rows, [1] * rows), None).numbers["error"] == pytest.approx(0.1)


def test_nan_and_an_empty_test_split_fail(bench: Any) -> None:
    assert Calibration().check(bench.scored([0.9, np.nan], [1, 1]), None).status == "failed"
    assert Calibration().check(bench.scored(np.zeros((0, 2)), []), None).status == "failed"


@pytest.mark.parametrize("options", [{"max_error": 1.5}, {"max_brier": 3.0}, {"bins": 0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Calibration(**options)
