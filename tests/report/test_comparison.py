"""Two runs side by side: on the same rows, on other rows, and one that failed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ftkit import cli
from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics, paired_comparison
from ftkit.evaluation.paired_comparison import mcnemar
from ftkit.report.comparison import compare
from ftkit.report.facts import read
from ftkit.runs.ledger import Ledger
from ftkit.testing.toys import ToyReviews

from .conftest import RECIPE, Make, make_trials


def swapped(make: Make) -> tuple[Ledger, Ledger]:
    """Two runs on the same rows; the second one's candidate gave the answers of the first one's champion."""
    one, other = make(recipe=RECIPE + "concurrency = 2\n"), make()
    other.store_predictions({"candidate": other.predictions()["champion"]})
    return one, other


def test_on_the_same_rows_differences_have_paired_intervals_and_flipped_rows_are_counted(make: Make) -> None:
    one, other = swapped(make)
    comparison = compare(read(one), read(other))
    assert comparison.same_data
    assert [(each.key, each.one, each.other) for each in comparison.recipe] == [("search.concurrency", 2, None)]
    first, second = one.predictions()["candidate"], other.predictions()["candidate"]
    labels = np.asarray(one.data(("test",)).test.labels)
    for each in comparison.test:
        pair = paired_comparison.compare(each.metric, second, first, labels, seed=7, resamples=1000)
        sign = 1 if metrics.GREATER_IS_BETTER[each.metric] else -1
        assert each.difference == pytest.approx(sign * pair.difference)
        assert sorted(sign * value for value in pair.interval(0.95)) == pytest.approx([each.low, each.high])
    assert {each.metric: each.direction for each in comparison.test}["log_loss"] == "worse"
    right = [each.argmax(axis=1) == labels for each in (first, second)]
    fixed, broken = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    assert comparison.flipped is not None
    assert (comparison.flipped.fixed, comparison.flipped.broken) == (fixed, broken)
    assert comparison.flipped.p == mcnemar(fixed, broken)
    assert broken > fixed
    assert comparison.notes == []


def test_a_run_compared_with_itself_has_no_differences(make: Make) -> None:
    book = make()
    comparison = compare(read(book), read(book))
    assert (comparison.recipe, comparison.data) == ([], [])
    assert {each.direction for each in comparison.test} == {"not told apart"}
    assert comparison.flipped is not None
    assert comparison.flipped.agree == comparison.flipped.rows


def test_runs_on_different_rows_have_no_paired_interval_and_a_note_says_why(make: Make) -> None:
    comparison = compare(read(make()), read(make(data=ToyReviews(rows=200).load(8, lambda _: None))))
    assert not comparison.same_data
    assert comparison.flipped is None
    assert {each.low for each in comparison.test} == {None}
    assert all(each.difference is not None for each in comparison.test)
    assert any("different test rows" in each for each in comparison.notes)


def test_a_failed_run_is_compared_as_far_as_it_went(make: Make) -> None:
    comparison = compare(read(make()), read(make("failed")))
    assert comparison.flipped is None
    assert any("has not reached its promotion tests (failed)" in each for each in comparison.notes)
    assert {each.other for each in comparison.test} == {None}
    assert [each.other for each in comparison.verdicts] == [None] * 4


def test_a_note_names_a_run_whose_answers_are_missing(make: Make) -> None:
    one, other = make(), make()
    (other.folder / "tested" / "candidate.npy").unlink()
    comparison = compare(read(one), read(other))
    assert comparison.flipped is None
    assert any(other.run in each and "were not stored with this run" in each for each in comparison.notes)
    assert {each.difference for each in comparison.test} != {None}


def test_notes_name_different_classes_and_different_metrics(make: Make) -> None:
    loaded = ToyReviews().load(7, lambda _: None)
    other = make(data=replace(loaded, classes=("no", "yes")), recipe=RECIPE.replace("macro_f1", "accuracy"))
    notes = compare(read(make()), read(other)).notes
    assert any("different classes" in each for each in notes)
    assert any("macro_f1 and accuracy" in each for each in notes)


def test_a_promotion_test_that_is_named_twice_is_compared_twice(make: Make) -> None:
    twice: list[dict[str, Any]] = [
        {"test": "metric-floor", "status": status, "sentence": "", "numbers": {}} for status in ("passed", "failed")
    ]
    book = make(verdicts=twice, trials=make_trials(1))
    comparison = compare(read(book), read(book))
    assert {each.key: each.one for each in comparison.verdicts} == {
        "metric-floor": "passed",
        "metric-floor (2)": "failed",
    }


def test_the_command_prints_a_comparison_or_json(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = swapped(make)
    assert cli.main(["compare", one.run, str(other.folder)]) == 0
    printed = capsys.readouterr().out
    for each in (
        "search.concurrency",
        "data: the same in both runs",
        "95 % interval",
        "worse",
        "McNemar's exact test",
        "time by stage",
    ):
        assert each in printed
    assert cli.main(["compare", one.run, other.run, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["same_data"] is True
    assert printed["one"]["run"] == one.run
    assert {each["metric"] for each in printed["test"]} == set(METRICS_OF["single-label"])
    assert printed["flipped"]["broken"] > 0


def test_an_unknown_run_is_a_usage_error(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", make("data").run, "nonesuch"]) == 2
    assert "there is no run 'nonesuch'" in capsys.readouterr().err
