"""Linear layers on a CPU whose product adds the bias itself.

torch's own first writes the bias to every row of its output, and the product reads it again: 6 to 10 % of a product in bf16 with 800 rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

_WITH_BIAS = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""Whether torch has oneDNN's product that adds the bias itself."""


def is_plain(layer: Any) -> bool:
    """Whether a layer is torch's own with a bias, and none that wraps or replaces it."""
    return type(layer) is nn.Linear and layer.bias is not None


def projections(layers: Sequence[nn.Linear], states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What linear layers return for the same states, (…, width); the gradients of the states are added up in their products."""
    if torch.compiler.is_compiling() or not all(map(is_plain, layers)):
        return tuple(each(states) for each in layers)
    flat = states.reshape(-1, states.shape[-1])
    parameters = (parameter for each in layers for parameter in (each.weight, each.bias))
    found: tuple[torch.Tensor, ...] = _Projections.apply(flat, *parameters)
    return tuple(each.view(*states.shape[:-1], -1) for each in found)


def product(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(rows, inputs) times (outputs, inputs), with the bias."""
    if states.dtype == torch.bfloat16 and _WITH_BIAS:
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
        return output
    return nn.functional.linear(states, weight, bias)


def gradients_of(
    gradient: torch.Tensor, states: torch.Tensor, weight: bool, bias: bool
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Those of weight and bias where they are asked for, by that of the product and its states, (rows, outputs) and (rows, inputs)."""
    return gradient.t() @ states if weight else None, gradient.sum(0) if bias else None


class _Projections(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, states: torch.Tensor, *parameters: torch.Tensor) -> tuple[torch.Tensor, ...]:
        weights, biases = parameters[::2], parameters[1::2]
        context.save_for_backward(states, *weights)
        return tuple(product(states, weight, bias) for weight, bias in zip(weights, biases, strict=True))

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, *weights = context.saved_tensors
        of_states, *needed = context.needs_input_grad
        total: torch.Tensor | None = None
        results: list[torch.Tensor | None] = []
        for index, (gradient, weight) in enumerate(zip(gradients, weights, strict=True)):
            if of_states:
                total = gradient @ weight if total is None else total.addmm_(gradient, weight)
            results += gradients_of(gradient, states, needed[2 * index], needed[2 * index + 1])
        return total, *results
