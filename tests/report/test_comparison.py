"""Two runs side by side, on the same rows, on others, and one that never came to an end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ftkit import cli
from ftkit.evaluation import metrics, paired_comparison
from ftkit.evaluation.paired_comparison import mcnemar
from ftkit.report.comparison import compare
from ftkit.report.facts import gather
from ftkit.runs.ledger import Ledger
from ftkit.testing.toys import ToyReviews

from .conftest import RECIPE, Make, make_trials


def swapped(make: Make) -> tuple[Ledger, Ledger]:
    """Two runs on the same rows; the second one's candidate gave the answers of the first one's champion."""
    one, other = make(recipe=RECIPE + "concurrency = 2\n"), make()
    kept = other.predictions()
    other.store_predictions({"candidate": kept["champion"]})
    return one, other


def test_on_the_same_rows_differences_have_paired_intervals_and_flips_are_counted(make: Make) -> None:
    one, other = swapped(make)
    found = compare(gather(one), gather(other))
    assert found.same_data
    assert [(each.key, each.one, each.other) for each in found.recipe] == [("search.concurrency", 2, None)]
    first, second = one.predictions()["candidate"], other.predictions()["candidate"]
    labels = np.asarray(one.data(("test",)).test.labels)
    for each in found.test:
        pair = paired_comparison.compare(each.metric, second, first, labels, seed=7, resamples=1000)
        sign = 1 if metrics.GREATER_IS_BETTER[each.metric] else -1
        assert each.difference == pytest.approx(sign * pair.difference)
        assert sorted(sign * value for value in pair.interval(0.95)) == pytest.approx([each.low, each.high])
    assert {each.metric: each.told for each in found.test}["log_loss"] == "worse"
    right = [each.argmax(axis=1) == labels for each in (first, second)]
    fixed, broken = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    assert found.flipped is not None
    assert (found.flipped.fixed, found.flipped.broken) == (fixed, broken)
    assert found.flipped.p == mcnemar(fixed, broken)
    assert broken > fixed
    assert found.notes == []


def test_a_run_compared_with_itself_differs_in_nothing(make: Make) -> None:
    book = make()
    found = compare(gather(book), gather(book))
    assert (found.recipe, found.data) == ([], [])
    assert {each.told for each in found.test} == {"not told apart"}
    assert found.flipped is not None
    assert found.flipped.agree == found.flipped.rows


def test_other_rows_are_said_to_be_others_and_have_no_paired_interval(make: Make) -> None:
    found = compare(gather(make()), gather(make(data=ToyReviews(rows=200).load(8, lambda _: None))))
    assert not found.same_data
    assert found.flipped is None
    assert {each.low for each in found.test} == {None}
    assert all(each.difference is not None for each in found.test)
    assert any("different test rows" in each for each in found.notes)


def test_a_run_that_broke_off_is_compared_as_far_as_it_came(make: Make) -> None:
    found = compare(gather(make()), gather(make("failed")))
    assert found.flipped is None
    assert any("has not come to its promotion tests (failed)" in each for each in found.notes)
    assert {each.other for each in found.test} == {None}
    assert [each.other for each in found.verdicts] == [None] * 4


def test_a_run_whose_answers_are_gone_is_named(make: Make) -> None:
    one, other = make(), make()
    (other.folder / "tested" / "candidate.npy").unlink()
    found = compare(gather(one), gather(other))
    assert found.flipped is None
    assert any(other.run in each and "not kept its answers" in each for each in found.notes)
    assert {each.difference for each in found.test} != {None}


def test_other_classes_and_other_metrics_are_said(make: Make) -> None:
    loaded = ToyReviews().load(7, lambda _: None)
    other = make(data=replace(loaded, classes=("no", "yes")), recipe=RECIPE.replace("macro_f1", "accuracy"))
    notes = compare(gather(make()), gather(other)).notes
    assert any("different classes" in each for each in notes)
    assert any("macro_f1 and accuracy" in each for each in notes)


def test_one_test_asked_for_twice_is_compared_one_by_one(make: Make) -> None:
    twice: list[dict[str, Any]] = [
        {"test": "metric-floor", "status": status, "sentence": "", "numbers": {}} for status in ("passed", "failed")
    ]
    book = make(verdicts=twice, trials=make_trials(1))
    found = compare(gather(book), gather(book))
    assert {each.key: each.one for each in found.verdicts} == {"metric-floor": "passed", "metric-floor (2)": "failed"}


def test_the_command_prints_a_comparison_or_json(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = swapped(make)
    assert cli.main(["compare", one.run, str(other.folder)]) == 0
    said = capsys.readouterr().out
    for each in (
        "search.concurrency",
        "the same data",
        "95 % interval",
        "worse",
        "McNemar's exact test",
        "time by stage",
    ):
        assert each in said
    assert cli.main(["compare", one.run, other.run, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_data"] is True
    assert found["one"]["run"] == one.run
    assert {each["metric"] for each in found["test"]} == set(metrics.METRICS)
    assert found["flipped"]["broken"] > 0


def test_a_run_that_is_not_there_is_said(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", make("data").run, "nonesuch"]) == 2
    assert "there is no run 'nonesuch'" in capsys.readouterr().err
