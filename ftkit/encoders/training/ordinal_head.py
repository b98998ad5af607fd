"""The head that learns an order of classes: one score of the text decides between all neighbours.

The logit of class k is `place_k · score + bias_k`, so that the odds of a class against the one below it rise with the score alike for
every pair of neighbours. Such a head is a linear one of rank one: after the training it is written as a plain linear head, and whoever
loads the model needs to know nothing of it.

Source: Agresti 2010, "Analysis of Ordinal Categorical Data", section 4.1, adjacent-categories logits; Anderson 1984, "Regression and
Ordered Categorical Variables".
"""

from __future__ import annotations

from typing import Any

import torch

from ftkit.encoders.training.head import linear_head
from ftkit.errors import CheckpointError

BIAS_RATE = 100.0
"""How much faster the biases move than a weight: a score is the sum of hundreds of weights, a bias stands alone."""


class OrderedClasses(torch.nn.Module):
    """Logits of ordered classes from one score, (rows, classes)."""

    place: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        """`linear` is the layer in whose place it comes; the first row of its weights becomes the score's."""
        super().__init__()
        place = torch.tensor(places(linear.out_features), dtype=linear.weight.dtype, device=linear.weight.device)
        self.register_buffer("place", place[:, None], persistent=False)  # (classes, 1)
        self.score = torch.nn.Parameter(linear.weight.detach()[:1].clone())  # (1, width)
        # A class in the middle is likely where the score is near its place, as if it reached half-way to its neighbours.
        step = float(place[1] - place[0])
        self.bias = torch.nn.Parameter(-(place**2) / (2 * step) / BIAS_RATE)

    @property
    def weight(self) -> torch.Tensor:
        """The weights of a linear layer with the same logits, (classes, width)."""
        return self.place * self.score

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of the head's input, (rows, width)."""
        return torch.nn.functional.linear(hidden, self.weight, BIAS_RATE * self.bias)


def learn_order(model: Any) -> Any:
    """Give a model that head in place of its linear one. Raises: CheckpointError for a model without a linear head."""
    parent, name, linear = _head(model)
    setattr(parent, name, OrderedClasses(linear))
    return model


def as_linear(model: Any) -> Any:
    """Write the head as a plain linear one again, with the same logits."""
    for parent in model.modules():
        for name, head in [*parent.named_children()]:
            if isinstance(head, OrderedClasses):
                weight, bias = head.weight.detach(), BIAS_RATE * head.bias.detach()
                linear = torch.nn.Linear(weight.shape[1], weight.shape[0]).to(weight.device, weight.dtype)
                linear.load_state_dict({"weight": weight, "bias": bias})
                setattr(parent, name, linear)
    return model


def places(classes: int) -> list[float]:
    """The place of each class in the order, evenly spaced around 0, with a mean square of 1."""
    middle = (classes - 1) / 2
    spread = ((classes**2 - 1) / 12) ** 0.5
    return [(index - middle) / spread for index in range(classes)]


def _head(model: Any) -> tuple[Any, str, torch.nn.Linear]:
    if (found := linear_head(model)) is None:
        raise CheckpointError(
            f"a model of type {model.config.model_type!r} has no linear head with biases, which an order of classes needs",
            hint='Use another checkpoint, or task = "single-label".',
        )
    return found
