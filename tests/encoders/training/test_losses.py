"""The losses of training, and the weights of classes in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ftkit.contracts import Split
from ftkit.encoders import Encoder
from ftkit.encoders.training.losses import class_weights, training_loss
from ftkit.errors import DataError
from ftkit.testing.backbones import separable_data


@dataclass(frozen=True, kw_only=True)
class Untrained(Encoder):
    """Options alone."""

    name = "untrained"


def test_balanced_weights_are_inverse_to_the_rows_of_a_class():
    data = replace(separable_data(), train=Split(("a",) * 6, (0, 0, 0, 0, 1, 1)))
    np.testing.assert_allclose(class_weights(Untrained(class_weights="balanced"), data), [0.5, 1.0, 2.0])
    np.testing.assert_allclose(class_weights(Untrained(), data), [1, 1, 1])


def test_weights_may_be_given_by_name_and_others_weigh_one():
    weighted = Untrained(class_weights={separable_data().classes[1]: 2.5})
    np.testing.assert_allclose(class_weights(weighted, separable_data()), [1, 2.5, 1])


def test_a_weight_of_no_class_is_refused_before_training_with_the_classes_there_are():
    data = separable_data()
    with pytest.raises(DataError, match="'spam'") as caught:
        Untrained(class_weights={"spam": 2.0}).foresee(data)
    assert all(name in caught.value.hint for name in data.classes)


def test_a_weight_that_is_no_number_is_refused_in_plain_words():
    from ftkit import options

    with pytest.raises(options.Mistakes) as caught:
        options.build(Untrained, {"class_weights": {"spam": "two"}})
    (mistake,) = caught.value.mistakes
    assert mistake.path == ("class_weights",)
    assert mistake.what == 'expected "none" or "balanced" or table of numbers, not {"spam": "two"}'
    assert not mistake.hint


def losses(data, **options):
    torch.manual_seed(0)
    logits = torch.randn(len(data.train), 3, requires_grad=True)
    loss = training_loss(Untrained(**options), data, torch.device("cpu"))
    rows = np.arange(len(data.train))
    return logits, loss.of_rows(logits, rows), loss.weight(rows)


def test_a_focal_loss_without_focus_is_the_cross_entropy_and_with_it_weighs_sure_rows_less():
    data = separable_data(rows=12)
    _, plain, total = losses(data)
    torch.testing.assert_close(losses(data, loss="focal", focal_gamma=0.0)[1], plain)
    logits, focal, same_total = losses(data, loss="focal")
    sure = logits.softmax(-1)[torch.arange(12), torch.tensor(data.train.labels)]
    torch.testing.assert_close(focal, plain * (1 - sure) ** 2)
    assert total == same_total
    focal.sum().backward()
    assert logits.grad.isfinite().all()


def test_smoothed_labels_give_every_class_its_part():
    data = separable_data(rows=12)
    logits, smoothed, _ = losses(data, label_smoothing=0.3)
    targets = torch.full((12, 3), 0.1)
    targets[torch.arange(12), torch.tensor(data.train.labels)] += 0.7
    torch.testing.assert_close(smoothed, -(targets * logits.log_softmax(-1)).sum(-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "focal", "label_smoothing": 0.1}, "label_smoothing needs"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"focal_gamma": -1.0}, "focal_gamma"),
        ({"layer_decay": 0.0}, "layer_decay"),
        ({"evaluate_every": 2.5}, "evaluate_every"),
        ({"evaluate_every": 0.0}, "evaluate_every"),
        ({"max_minutes": 0.0}, "max_minutes"),
        ({"lora_rank": 0}, "lora_rank"),
        ({"layers": 0}, "layers"),
        ({"class_weights": {"spam": 0.0}}, "class_weights"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_the_name_of_their_option(options, message):
    with pytest.raises(ValueError, match=message):
        Untrained(**options)
