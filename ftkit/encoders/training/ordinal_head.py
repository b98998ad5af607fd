"""The head that learns an order of classes: one score of the text decides between all neighbours.

The logit of class k is `place_k · score + bias_k`, so that the odds of a class against the one below it rise with the score alike for
every pair of neighbours. Such a head is a linear one of rank one: after the training it is written as a plain linear head, and whoever
loads the model needs to know nothing of it.

Source: Agresti 2010, "Analysis of Ordinal Categorical Data", section 4.1, adjacent-categories logits; Anderson 1984, "Regression and
Ordered Categorical Variables".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import CheckpointError

if TYPE_CHECKING:
    import torch

BIAS_RATE = 100.0
"""How much faster the biases move than a weight: a score is the sum of hundreds of weights, a bias stands alone."""


def learn_order(model: Any) -> Any:
    """Give a model that head in place of its linear one. Raises: CheckpointError for a model without a linear head."""
    parent, name, linear = _head(model)
    setattr(parent, name, _module(linear))
    return model


def as_linear(model: Any) -> Any:
    """Write the head as a plain linear one again, with the same logits."""
    import torch

    for parent in model.modules():
        for name, head in [*parent.named_children()]:
            if isinstance(head, torch.nn.Module) and hasattr(head, "linear_weight"):
                weight, bias = head.linear_weight().detach(), head.linear_bias().detach()
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
    """The module that holds the linear layer of the logits, the layer's name in it, and the layer."""
    import torch

    within = f"{model.base_model_prefix}."
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not name.startswith(within)
        and module.out_features == model.config.num_labels
    ]
    if not layers or layers[-1][1].bias is None:
        raise CheckpointError(
            f"a model of type {model.config.model_type!r} has no linear head with biases, which an order of classes needs",
            hint='Use another checkpoint, or task = "single-label".',
        )
    name, linear = layers[-1]
    parent, _, own = name.rpartition(".")
    return model.get_submodule(parent), own, linear


def _module(linear: torch.nn.Linear) -> torch.nn.Module:
    import torch

    class OrderedClasses(torch.nn.Module):
        """Logits of ordered classes from one score, (rows, classes)."""

        def __init__(self) -> None:
            super().__init__()
            classes = linear.out_features
            place = torch.tensor(places(classes), dtype=linear.weight.dtype, device=linear.weight.device)
            self.register_buffer("place", place[:, None], persistent=False)  # (classes, 1)
            self.score = torch.nn.Parameter(linear.weight.detach()[:1].clone())  # (1, width)
            # Classes in the middle are likely where the score is, as if each was as wide as its distance from the next.
            step = float(place[1] - place[0])
            self.bias = torch.nn.Parameter((-(place**2) / (2 * step) + 0.5 / step) / BIAS_RATE)

        def linear_weight(self) -> torch.Tensor:
            return self.place * self.score

        def linear_bias(self) -> torch.Tensor:
            return BIAS_RATE * self.bias

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(hidden, self.linear_weight(), self.linear_bias())

    return OrderedClasses()
