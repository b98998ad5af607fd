"""The losses of training, and the weights of classes in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ftkit.contracts import Split
from ftkit.encoders import Encoder
from ftkit.encoders.training.losses import class_weights
from ftkit.testing.backbones import separable_data


@dataclass(frozen=True, kw_only=True)
class Untrained(Encoder):
    """Options alone."""

    name = "untrained"


def test_balanced_weights_are_inverse_to_the_rows_of_a_class():
    data = replace(separable_data(), train=Split(("a",) * 6, (0, 0, 0, 0, 1, 1)))
    np.testing.assert_allclose(class_weights(Untrained(class_weights="balanced"), data), [0.5, 1.0, 2.0])
    np.testing.assert_allclose(class_weights(Untrained(), data), [1, 1, 1])
