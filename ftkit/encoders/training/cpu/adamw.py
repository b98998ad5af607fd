"""AdamW on a CPU, one weight after the other: a gradient is read, a value moved and rounded while they are in the cache.

The same work done for all weights at once goes to memory for each of its parts: it took a fifth longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SMALL = 2**16
"""Values of a parameter that is taken together with others of its kind: calls then cost more than arithmetic."""


class Optimizer:
    """AdamW over parameters whose values it keeps in fp32, whatever format the model computes in.

    A step's rounding to bf16 would swallow most of its updates. Parameters that are fp32 are trained in place.
    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", as `torch.optim.AdamW` computes it.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], betas: tuple[float, float], epsilon: float) -> None:
        import torch

        self._weights = [
            _Weight(parameters, group["weight_decay"]) for group in groups for parameters in _together(group["params"])
        ]
        self._betas, self._epsilon = betas, epsilon
        self._room = torch.empty(max((len(each.value) for each in self._weights), default=0))

    def squared_norm(self) -> torch.Tensor:
        """Of all gradients, as one vector; fp32, ()."""
        import torch

        squares = [torch.zeros(())]
        for weight in self._weights:
            gradient = weight.gradient(self._room)
            squares.append(torch.dot(gradient, gradient))
        return torch.stack(squares).sum()

    def step(self, rate: float, divisor: torch.Tensor) -> None:
        """Move every value along its gradient over `divisor`, and forget the gradient."""
        from torch.optim.adamw import adamw

        for weight in self._weights:
            adamw(
                [weight.value], [weight.gradient(self._room)], [weight.mean], [weight.square], [], [weight.steps],
                fused=True, amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=rate,
                weight_decay=weight.decay, eps=self._epsilon, maximize=False, grad_scale=divisor,
            )  # fmt: skip
            weight.settle()

    def values(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Each parameter with its fp32 value."""
        return [found for weight in self._weights for found in weight.values()]


class _Weight:
    """A large parameter, or several small ones end to end: fp32 values, and moments."""

    def __init__(self, parameters: list[torch.nn.Parameter], decay: float) -> None:
        import torch

        self._parameters = parameters
        self.decay = decay
        kept = parameters[0].detach().view(-1) if len(parameters) == 1 else _joined(parameters)
        self._kept = kept
        """What the model computes with: the parameters' own memory."""
        self.value = kept if kept.dtype == torch.float32 else kept.float()
        self.mean, self.square = torch.zeros_like(self.value), torch.zeros_like(self.value)
        self.steps = torch.zeros(())

    def gradient(self, room: torch.Tensor) -> torch.Tensor:
        """The gradient, fp32, in `room` or where it lies; parameters that took no part have zeros."""
        import torch

        found = room[: len(self.value)]
        parts = [
            torch.zeros_like(each).view(-1) if each.grad is None else each.grad.reshape(-1) for each in self._parameters
        ]
        if len(parts) > 1:
            return found.copy_(torch.cat(parts))
        return parts[0] if parts[0].dtype == torch.float32 else found.copy_(parts[0])

    def settle(self) -> None:
        """Give the model its new values, rounded to its format, and free its gradients."""
        if self._kept is not self.value:
            self._kept.copy_(self.value)
        for each in self._parameters:
            each.grad = None

    def values(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        parts = self.value.split([each.numel() for each in self._parameters])
        return [(each, part.view_as(each)) for each, part in zip(self._parameters, parts, strict=True)]


def _together(parameters: Sequence[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    """Large parameters alone, small ones by format."""
    found: list[list[torch.nn.Parameter]] = []
    small: dict[torch.dtype, list[torch.nn.Parameter]] = {}
    for each in parameters:
        if each.numel() >= SMALL and each.is_contiguous():
            found.append([each])
        else:
            small.setdefault(each.dtype, []).append(each)
    return found + list(small.values())


def _joined(parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """Move parameters into one vector, in which each is a view from then on."""
    import torch

    flat = torch.cat([each.detach().reshape(-1) for each in parameters])
    for each, part in zip(parameters, flat.split([each.numel() for each in parameters]), strict=True):
        each.data = part.view_as(each)
    return flat
