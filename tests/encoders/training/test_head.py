"""Where the biases of a head for several labels a row begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ftkit.encoders import Encoder
from ftkit.encoders.training import precision
from ftkit.encoders.training.head import begin_at_rates, linear_head
from ftkit.testing.separable import separable_data

LABELS = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint, which learns next to nothing."""

    name = "tiny"
    epochs: int = 1
    batch_size: int = 8
    learning_rate: float = 1e-9
    precision: precision.Precision = "fp32"


class Model(nn.Module):
    """An encoder with a head, as transformers names their parts."""

    base_model_prefix = "encoder"

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.encoder, self.classifier = nn.Linear(4, 4), nn.Linear(4, 3, bias=bias)
        self.config = type("Config", (), {"num_labels": 3})
        if bias:
            nn.init.zeros_(self.classifier.bias)


def begun(model: Model, weights: np.ndarray) -> Model:
    begin_at_rates(model, LABELS, weights)
    return model


def test_a_new_head_begins_with_the_share_of_the_rows_that_have_each_label() -> None:
    model = begun(Model(), np.ones(3))
    assert torch.sigmoid(model.classifier.bias).tolist() == pytest.approx([0.75, 0.25, 0.125]), "half a row for none"


def test_weights_of_classes_count() -> None:
    model = begun(Model(), np.array([1 / 3, 3.0, 1.0]))
    assert torch.sigmoid(model.classifier.bias).tolist() == pytest.approx([0.5, 0.5, 0.125])


def test_a_trained_head_and_one_without_biases_stay() -> None:
    trained, plain = Model(), Model(bias=False)
    nn.init.constant_(trained.classifier.bias, 0.5)
    assert begun(trained, np.ones(3)).classifier.bias.tolist() == [0.5] * 3
    assert linear_head(begun(plain, np.ones(3))) is None


def test_a_training_on_several_labels_begins_there(tiny: Path) -> None:
    data = separable_data(60, task="multi-label")
    rare = [labels if index % 10 == 0 else () for index, labels in enumerate(data.train.labels)]
    data = replace(data, train=replace(data.train, labels=rare))
    seen: list[np.ndarray] = []
    Tiny(checkpoint=str(tiny)).fit(data, 1, lambda _epoch, probabilities, **_: bool(seen.append(probabilities)))
    rates = np.array([sum(each in labels for labels in rare) for each in range(len(data.classes))]) / len(rare)
    assert seen[0].mean(0) == pytest.approx(rates, abs=0.05)
