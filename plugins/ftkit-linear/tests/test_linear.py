"""The linear model is a backbone as any other: it learns, is repeatable, and is kept without a pickle."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import ftkit_linear
import numpy as np
import pytest
from ftkit_linear import fitting
from ftkit_linear.backbone import Linear

from ftkit import plugins
from ftkit.contracts import Data, DataReport, Split
from ftkit.errors import BundleError
from ftkit.testing.backbones import ODD_TEXTS, BackboneSuite, separable, separable_data

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)


class TestLinear(BackboneSuite):
    @pytest.fixture
    def component(self):
        return Linear(C=10.0)

    def test_a_loaded_model_answers_without_scikit_learn(self, fitted):
        code = (
            "import sys; from pathlib import Path; from ftkit_linear.backbone import Linear; "
            "Linear().load(Path(sys.argv[1])).probabilities(['a ship']); print('sklearn' in sys.modules)"
        )
        process = subprocess.run([sys.executable, "-c", code, fitted.folder], capture_output=True, text=True)
        assert process.stdout.strip() == "False", process.stderr

    def test_damaged_weights_are_a_bundle_error(self, component, fitted, tmp_path):
        fitted.classifier.save(tmp_path)
        described = json.loads((tmp_path / "linear.json").read_text())
        described["classes"].pop()
        (tmp_path / "linear.json").write_text(json.dumps(described))
        with pytest.raises(BundleError, match="not those of its n-grams"):
            component.load(tmp_path)


def several_labels(rows: int, seed: int) -> Split:
    """Texts of one class, of two, and of none."""
    texts, labels = [], []
    single, other = separable(rows, seed), separable(rows, seed + 10)
    for number, (text, label) in enumerate(zip(single.texts, single.labels, strict=True)):
        second = other.labels[(number + number % 2) % rows]
        if number % 5 == 4:
            texts.append("the old one and it was all")
            labels.append(())
        elif number % 2 and second != label:
            texts.append(f"{text} {other.texts[(number + 1) % rows]}")
            labels.append(tuple(sorted((label, second))))
        else:
            texts.append(text)
            labels.append((label,))
    return Split(texts, labels)


def test_several_labels_are_learned_independently_of_each_other(tmp_path):
    train, valid = several_labels(300, 1), several_labels(100, 2)
    data = Data(separable_data().classes, train, valid, Split((), ()), REPORT, task="multi-label")
    reports = []
    model = Linear(C=30.0).fit(data, 0, lambda epoch, probabilities: not reports.append(probabilities))
    assert model.task == "multi-label"
    model.save(tmp_path)
    loaded = Linear().load(tmp_path)
    assert loaded.task == "multi-label"
    probabilities = loaded.probabilities(valid.texts)
    np.testing.assert_array_equal(probabilities, reports[0])
    expected = np.array([[index in label for index in range(3)] for label in valid.labels])
    assert ((probabilities >= 0.5) == expected).mean() > 0.95
    assert (probabilities.sum(axis=1) > 1.5).any()
    assert probabilities[[label == () for label in valid.labels]].max() < 0.5


def test_more_rows_than_allowed_are_thinned_evenly_and_no_class_is_lost():
    labels = np.array([0] * 900 + [1] * 99 + [2])
    rows = fitting.chosen_rows(labels, 100)
    assert np.bincount(labels[rows]).tolist() == [90, 10, 1]
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert fitting.chosen_rows(labels, 1000).tolist() == list(range(1000))


def test_n_grams_of_rows_beyond_the_counted_ones_get_their_columns(monkeypatch):
    """The matrix is made chunk by chunk, from the n-grams of some of the rows: the model is that of all of them."""
    data = separable_data(rows=96)
    expected = Linear(min_df=1).fit(data, 0, lambda *_: True)
    monkeypatch.setattr(fitting, "_CHUNK", 7)
    np.testing.assert_allclose(
        Linear(min_df=1).fit(data, 0, lambda *_: True).coefficients, expected.coefficients, atol=1e-6
    )
    monkeypatch.setattr(fitting, "VOCABULARY_ROWS", 40)
    fewer = Linear(min_df=1).fit(data, 0, lambda *_: True)
    assert len(fewer.coefficients) < len(expected.coefficients)
    answers = fewer.probabilities(data.valid.texts).argmax(axis=1)
    assert (answers == np.asarray(data.valid.labels)).mean() >= 0.9


def test_balanced_classes_are_answered_more_often_where_they_are_rare():
    rare = Split(["common word"] * 95 + ["common word rare"] * 5, [0] * 95 + [1] * 5)
    data = Data(("often", "seldom"), rare, rare, Split((), ()), REPORT)
    plain, balanced = (
        Linear(class_weights=weights, C=0.1).fit(data, 0, lambda *_: True) for weights in ("none", "balanced")
    )
    text = ["common word rare"]
    assert balanced.probabilities(text)[0, 1] > 0.5 > plain.probabilities(text)[0, 1]


@pytest.mark.parametrize("words", [0, 2])
@pytest.mark.parametrize("characters", [0, 4])
def test_each_kind_of_n_grams_can_be_left_out(words, characters):
    if not words and not characters:
        with pytest.raises(ValueError, match="no n-grams"):
            Linear(words=words, characters=characters)
        return
    model = Linear(words=words, characters=characters).fit(separable_data(), 0, lambda *_: True)
    assert [each.kind for each in model.ngrams] == ["words"] * (words > 0) + ["characters"] * (characters > 0)
    assert np.isfinite(model.probabilities(list(ODD_TEXTS))).all()


def test_a_text_is_read_alike_whatever_the_case_and_the_form_of_its_letters():
    model = Linear(min_df=1).fit(separable_data(), 0, lambda *_: True)
    one, other = model.probabilities(["CAFE\u0301 Ship", "café ship"])
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "option", [{"words": -1}, {"min_df": 0}, {"max_features": 0}, {"C": 0.0}, {"max_rows": 5}, {"max_iterations": 0}]
)
def test_values_that_do_not_fit_are_refused(option):
    (name,) = option
    with pytest.raises(ValueError, match=name):
        Linear(**option)


def test_it_is_offered_and_its_options_are_plain_values():
    installed = plugins.collect([], {"linear": ftkit_linear}).examined()
    assert not installed.broken
    assert installed.names("backbones") == ["linear"]
    assert all(isinstance(each.default, int | float | str) for each in dataclasses.fields(Linear))
