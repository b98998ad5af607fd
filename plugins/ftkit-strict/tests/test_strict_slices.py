"""Slices: which parts there are, what measures each of them, and which are judged."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.slices import Slices, holm

from ftkit.contracts import Split
from ftkit.errors import DataError
from ftkit.evaluation import metrics
from ftkit.evaluation.slices import groups


def candidate(bench: Any, wrong: Any, metric: str = "accuracy", rows: int = 200, **more: Any) -> Any:
    """Rows of class row % 2, those answered wrongly where `wrong` says so; the first half is short."""
    labels = [row % 2 for row in range(rows)]
    texts = [f"row {row}" + (" and then some more words" if row >= rows // 2 else "") for row in range(rows)]
    scores = [0.9 if (row % 2 == 1) != bool(wrong(row)) else 0.1 for row in range(rows)]
    columns = more.pop("columns", {"stars": [row % 4 for row in range(rows)]})
    return bench.scored(scores, labels, metric, texts=texts, columns=columns, **more)


def test_parts_are_classes_length_bands_and_column_values(bench: Any) -> None:
    parts = groups(candidate(bench, lambda row: False).data, True, 2, None, 12)
    assert [each.title for each in parts] == [
        "class negative",
        "class positive",
        "2 words",
        "7 words",
        "stars 0",
        "stars 1",
        "stars 2",
        "stars 3",
    ]
    assert [len(each.rows) for each in parts] == [100, 100, 100, 100, 50, 50, 50, 50]


def test_a_value_is_the_metric_on_the_rows_of_the_part(bench: Any) -> None:
    one = candidate(bench, lambda row: row % 5 == 0 or row < 30, "macro_f1")
    numbers = Slices(floor=0.0, resamples=200).check(one, None).numbers
    labels, rows = np.asarray(one.data.test.labels), slice(0, 100)
    assert numbers["2 words: value"] == pytest.approx(metrics.score("macro_f1", one.probabilities[rows], labels[rows]))
    right = one.probabilities.argmax(axis=1) == labels
    assert numbers["class positive: value"] == pytest.approx(right[labels == 1].mean())
    assert numbers["class positive: low"] < numbers["class positive: value"] < numbers["class positive: high"]


def test_a_part_ruined_on_purpose_fails_the_floor_and_is_named(bench: Any) -> None:
    one = candidate(bench, lambda row: row % 4 == 2 and row % 3)
    assert Slices(floor=0.6).check(candidate(bench, lambda row: row % 9 == 0), None).status == "passed"
    verdict = Slices(floor=0.6).check(one, None)
    assert verdict.status == "failed"
    assert "stars 2" in verdict.sentence
    assert "stars 1" not in verdict.sentence
    assert verdict.figure is not None


def test_a_part_much_worse_than_with_the_champion_fails_though_the_average_is_better(bench: Any) -> None:
    champion = candidate(bench, lambda row: row % 4 != 2 and row % 3 == 0, title="champion version 1")
    one = candidate(bench, lambda row: row % 4 == 2 and row % 3)
    assert metrics.score("accuracy", one.probabilities, one.data.test.labels) > metrics.score(
        "accuracy", champion.probabilities, one.data.test.labels
    )
    verdict = Slices().check(one, champion)
    assert verdict.status == "failed"
    assert "stars 2" in verdict.sentence
    assert "champion version 1" in verdict.sentence
    assert Slices(margin=0.9).check(one, champion).status == "passed"


def test_small_differences_in_many_parts_are_no_reason_to_fail(bench: Any) -> None:
    random = np.random.default_rng(0)
    noise, other = random.random(200) < 0.1, random.random(200) < 0.1
    columns = {name: random.integers(0, 4, 200).tolist() for name in "abcde"}
    one = candidate(bench, lambda row: noise[row], columns=columns)
    champion = candidate(bench, lambda row: other[row], columns=columns)
    assert Slices().check(one, champion).status == "passed"


def test_many_parts_do_not_hide_one_that_is_ruined(bench: Any) -> None:
    columns = {"kind": [row // 15 for row in range(600)]}
    champion = candidate(bench, lambda row: False, rows=600, columns=columns)
    one = candidate(bench, lambda row: 105 <= row < 120, rows=600, columns=columns)
    verdict = Slices(columns=("kind",), min_support=15, classes=False, lengths=0, resamples=200).check(one, champion)
    assert verdict.numbers["judged"] == 40
    assert verdict.status == "failed"
    assert "kind 7" in verdict.sentence


def test_five_rows_of_forty_parts_are_no_evidence_though_all_five_are_lost(bench: Any) -> None:
    """Of five rows that only one of two equal models gets right, the champion has all in one of 32 draws."""
    columns = {"kind": [row // 5 for row in range(200)]}
    champion = candidate(bench, lambda row: False, rows=200, columns=columns)
    one = candidate(bench, lambda row: 100 <= row < 105, rows=200, columns=columns)
    verdict = Slices(columns=("kind",), min_support=5, classes=False, lengths=0, resamples=4000).check(one, champion)
    assert verdict.status == "passed"
    assert verdict.numbers["kind 20: p"] == 1


def test_parts_with_few_rows_are_shown_and_not_judged(bench: Any) -> None:
    rare = {"kind": ["rare" if row < 10 else "usual" for row in range(200)]}
    one = candidate(bench, lambda row: row < 10, columns=rare)
    verdict = Slices(floor=0.6).check(one, None)
    assert verdict.status == "passed"
    assert verdict.numbers["kind rare: value"] == 0
    assert "1 more shown but not judged" in verdict.sentence
    assert Slices(floor=0.6, min_support=10).check(one, None).status == "failed"


def test_with_neither_floor_nor_champion_it_does_not_apply_but_shows(bench: Any) -> None:
    verdict = Slices().check(candidate(bench, lambda row: row % 4 == 2), None)
    assert verdict.status == "not applicable"
    assert "stars 2" in verdict.sentence
    assert verdict.numbers["stars 2: value"] == 0


def test_the_roc_auc_of_a_class_is_the_one_against_the_rest(bench: Any) -> None:
    bench.classes = ("a", "b", "c")
    random = np.random.default_rng(4)
    scores, labels = random.dirichlet([1, 1, 1], 90), random.integers(0, 3, 90)
    verdict = Slices(floor=0.0, lengths=0, resamples=200).check(bench.scored(scores, labels.tolist(), "roc_auc"), None)
    from sklearn.metrics import roc_auc_score

    assert verdict.numbers["class b: value"] == pytest.approx(roc_auc_score(labels == 1, scores[:, 1]))


def test_a_part_of_one_class_has_no_roc_auc_and_is_not_judged(bench: Any) -> None:
    one = candidate(bench, lambda row: row % 7 == 0, "roc_auc")
    numbers = Slices(floor=0.1, classes=False, lengths=0, resamples=200).check(one, None).numbers
    assert numbers["judged"] == 0
    assert "stars 1: value" not in numbers
    assert numbers["stars 1: rows"] == 50


def test_the_greatest_loss_is_the_worst(bench: Any) -> None:
    one = candidate(bench, lambda row: row % 4 == 2, "log_loss")
    verdict = Slices(floor=1.0, resamples=200).check(one, None)
    assert verdict.status == "failed"
    assert verdict.sentence.startswith("class negative") or "stars 2" in verdict.sentence
    assert Slices(floor=3.0, resamples=200).check(one, None).status == "passed"


def test_columns_of_many_values_are_left_out_unless_named(bench: Any) -> None:
    one = candidate(bench, lambda row: False, columns={"id": list(range(200)), "none": [None, math.nan] * 100})
    numbers = Slices(floor=0.1, resamples=200).check(one, None).numbers
    assert "id 3: rows" not in numbers
    assert numbers["none missing: rows"] == 200
    assert Slices(floor=0.1, columns=("id",), resamples=200).check(one, None).numbers["id 3: rows"] == 1


def test_the_error_about_an_unknown_column_names_the_nearest(bench: Any) -> None:
    with pytest.raises(DataError, match="no column 'star'") as error:
        Slices(columns=("star",)).check(candidate(bench, lambda row: False), None)
    assert "'stars'" in error.value.hint


def test_an_unknown_column_is_an_error_before_training(bench: Any) -> None:
    rows = Split(["a", "b"], [0, 1], {"stars": [1, 2], "shop": ["x", "y"]})
    data = replace(bench.data([], []), train=rows, valid=rows)
    Slices(columns=("stars", "shop")).foresee(data)
    Slices().foresee(data)
    with pytest.raises(DataError) as error:
        Slices(columns=("shop", "star")).foresee(data)
    assert error.value.what == "the data set has no column 'star'; it has 'stars', 'shop'"
    assert error.value.where == "slices.columns"
    assert "Did you mean 'stars'?" in error.value.hint
    with pytest.raises(DataError, match="it has none besides text and label"):
        Slices(columns=("shop",)).foresee(bench.data([], []))


def test_holms_method_gives_the_published_correction() -> None:
    # Holm 1979: sorted, times the number that is left, and never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holms_method_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    chances = np.random.default_rng(0).random(40) ** 3
    assert holm(chances.tolist()) == pytest.approx(multipletests(chances, method="holm")[1])


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_the_interval_of_a_part_is_that_of_scipys_bootstrap(bench: Any, metric: str) -> None:
    from scipy.stats import bootstrap

    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 400)
    scores = np.clip(0.3 * labels + 0.7 * random.random(400), 0.01, 0.99)
    one = bench.scored(scores, labels.tolist(), metric, columns={"half": [row % 2 for row in range(400)]})
    numbers = Slices(floor=0.1, classes=False, lengths=0, resamples=9999).check(one, None).numbers
    half_labels, half = labels[1::2], one.probabilities[1::2]
    right, loss = half.argmax(axis=1) == half_labels, -np.log(half[np.arange(200), half_labels])
    values = right.astype(float) if metric == "accuracy" else loss
    reference = bootstrap([values], np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(1))
    low, high = reference.confidence_interval
    assert numbers["half 1: low"] == pytest.approx(low, abs=0.008)
    assert numbers["half 1: high"] == pytest.approx(high, abs=0.008)


def test_a_candidate_as_good_as_the_champion_is_seldom_called_worse_in_any_of_many_parts(bench: Any) -> None:
    """One of twenty is what is promised for all parts together; six or more of 24 would be a sign of more."""
    random = np.random.default_rng(6)
    test = Quick(lengths=0, resamples=200)
    alarms = 0
    for seed in range(24):
        labels = random.integers(0, 2, 300)
        columns = {name: random.integers(0, 4, 300).tolist() for name in "abcde"}
        models = [np.where(random.random(300) < 0.9, labels, 1 - labels) * 0.8 + 0.1 for _ in range(2)]
        pair = [bench.scored(scores, labels.tolist(), columns=columns, seed=seed) for scores in models]
        alarms += test.check(*pair).status == "failed"
    assert alarms < 6


class Quick(Slices):
    """The test without its chart, which takes most of the time."""

    def _chart(self, *_: Any) -> str:
        return ""


def test_the_runs_seed_decides(bench: Any) -> None:
    one = candidate(bench, lambda row: row % 7 == 0)
    champion = candidate(bench, lambda row: row % 5 == 0)
    test = Slices(floor=0.2, resamples=200)
    assert test.check(one, champion) == test.check(one, champion)
    assert test.check(replace(one, seed=8), champion).numbers != test.check(one, champion).numbers


def test_odd_texts_and_values_get_a_verdict(bench: Any, odd_texts: list[str]) -> None:
    values = ["\ud800", "$x$", "<b>", "", None, 1, 2.5, True]
    one = bench.scored([0.9] * 8, [1] * 8, "macro_f1", texts=odd_texts, columns={"any\n$column": values})
    verdict = Slices(floor=0.5, min_support=1).check(one, None)
    assert verdict.status == "passed"
    verdict.sentence.encode()
    assert verdict.figure
    verdict.figure.encode()


def test_nan_fails_and_no_rows_fail(bench: Any) -> None:
    assert Slices(floor=0.1).check(bench.scored([0.9, math.nan], [1, 0]), None).status == "failed"
    assert Slices(floor=0.1).check(bench.scored(np.zeros((0, 2)), []), None).status == "failed"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"floor": math.inf}, "floor"),
        ({"margin": -1.0}, "margin"),
        ({"alpha": 0.0}, "alpha"),
        ({"classes": False, "lengths": 0, "columns": ()}, "all off"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Slices(**options)
