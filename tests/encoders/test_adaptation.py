"""Options that a recipe leaves to the data: what the training rows make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ftkit import options
from ftkit.contracts import Adapting, EpochTrained, Split
from ftkit.encoders import Encoder, adaptation
from ftkit.stages import trial
from ftkit.testing import toys
from ftkit.testing.backbones import separable_data


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rates = (1e-3, 3e-3)


@pytest.fixture
def encoder(tiny):
    return Tiny(checkpoint=str(tiny))


@pytest.mark.parametrize(
    ("rows", "classes", "tokens", "epochs", "batch_size"),
    [
        (1, 2, 20, 20, 16),
        (200, 2, 20, 20, 16),
        (1_200, 2, 20, 14, 16),
        (3_000, 4, 20, 6, 16),
        (10_000, 2, 20, 3, 16),
        (3_000, 20, 20, 6, 16),
        (3_000, 50, 20, 14, 16),
        (1_200, 77, 20, 20, 16),
        (10_000, 77, 20, 7, 16),
        (60_000, 150, 12, 4, 32),
        (1_200, 2, 400, 8, 16),
        (3_000, 50, 500, 3, 16),
        (19_999, 2, 20, 3, 16),
        (20_000, 2, 20, 3, 32),
        (1_000_000, 2, 500, 3, 32),
    ],
)
def test_few_rows_many_classes_and_short_texts_are_trained_for_more_epochs(rows, classes, tokens, epochs, batch_size):
    assert adaptation.epochs(rows, classes, rows * tokens) == epochs
    assert adaptation.batch_size(rows) == batch_size


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [
        ([12] * 100, 512, 64),  # room for longer texts than those of the training
        ([70] * 100, 512, 80),
        ([70] * 98 + [400] * 2, 512, 80),  # 2 % are cut
        ([70] * 97 + [400] * 3, 512, 400),
        ([900] * 100, 512, 512),
        ([900] * 100, 8192, 512),  # a model that could read more
        ([900] * 100, 128, 128),
        ([20] * 100, 48, 48),
        ([], 512, 64),
    ],
)
def test_the_length_follows_the_texts(lengths, limit, expected):
    assert adaptation.max_length(lengths, limit) == expected


def test_values_of_the_recipe_stay_and_the_rest_gets_numbers(encoder):
    data = separable_data(rows=45)
    adapted = replace(encoder, epochs=2).adapted(data)
    assert isinstance(encoder, Adapting)
    assert isinstance(encoder, EpochTrained)
    assert (adapted.learning_rate, adapted.epochs, adapted.batch_size, adapted.max_length) == (3e-3, 2, 16, 64)
    assert adapted.adapted(data) == adapted == replace(encoder, epochs=2).adapted(data)
    assert replace(adapted, learning_rate="auto", epochs="auto", batch_size="auto", max_length="auto") == encoder


def test_only_the_training_rows_decide(encoder):
    data = separable_data(rows=45)
    long = Split(("word " * 200,) * len(data.valid), data.valid.labels)
    assert encoder.adapted(replace(data, valid=long, test=long)) == encoder.adapted(data)


def test_texts_are_not_read_where_the_recipe_gives_epochs_and_length():
    numbers = Tiny(checkpoint="there/is-none", offline=True, epochs=1, max_length=32).adapted(separable_data(rows=45))
    assert numbers.max_length == 32


@pytest.mark.parametrize("field", ["learning_rate", "epochs", "batch_size", "max_length"])
@pytest.mark.parametrize("value", [0, "Auto", True])
def test_other_values_are_refused(field, value):
    with pytest.raises(options.Mistakes, match=field if value == 0 else 'number or "auto"'):
        options.build(Tiny, {field: value})


@pytest.mark.parametrize(
    ("rows", "classes", "rate"), [(1_200, 77, 5e-5), (999, 2, 5e-5), (1_000, 2, 3e-5), (5_000, 6, 3e-5)]
)
def test_classes_with_few_rows_have_a_higher_learning_rate(rows, classes, rate):
    assert adaptation.learning_rate(rows, classes, Encoder.learning_rates) == rate


def test_a_trial_trains_with_searched_values_and_adapts_the_rest(encoder, tmp_path):
    data = separable_data(rows=45).without_test()
    evaluations: list[float] = []

    def evaluated(numbers):
        evaluations.append(numbers["epoch"])
        return True, True

    with toys.install(tmp_path / "plugins"):
        plan = replace(toys.plan(tmp_path), backbone=encoder)
    trial.fit(plan, data, {"epochs": 3}, 1, tmp_path, evaluated)
    assert evaluations == [1, 2, 3]
    model = encoder.load(tmp_path / "model")
    assert model.tokens(["word " * 300]) == [64]
    np.testing.assert_allclose(model.probabilities(["word"]).sum(), 1, atol=1e-5)
