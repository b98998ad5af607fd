"""AdamW for CPUs, one weight after the other: gradient and value stay in the cache until the update is done.

Doing each of these operations for all weights at once reads and writes memory every time: it took a fifth longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SMALL = 2**16
"""Parameters with fewer values are updated together: calls would cost more than arithmetic."""

_STATE = ("value", "mean", "square", "steps")


class CpuAdamW:
    """AdamW over parameters whose values it keeps in fp32, whatever format the model computes in.

    Rounding to bf16 in every step would lose most of its updates. Parameters in fp32 are updated in place.
    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", as `torch.optim.AdamW` computes it.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], betas: tuple[float, float], epsilon: float) -> None:
        import torch

        self._weights = [
            _Weight(parameters, group["weight_decay"], group["share"])
            for group in groups
            for parameters in _bundles(group["params"])
        ]
        self._betas, self._epsilon = betas, epsilon
        self._buffer = torch.empty(max((len(weight.value) for weight in self._weights), default=0))

    def squared_norm(self) -> torch.Tensor:
        """The squared norm of all gradients as one vector; fp32, ()."""
        import torch

        squares = [torch.zeros(())]
        for weight in self._weights:
            gradient = weight.gradient(self._buffer)
            squares.append(torch.dot(gradient, gradient))
        return torch.stack(squares).sum()

    def step(self, rate: float, divisor: torch.Tensor) -> None:
        """Update every value by its gradient over `divisor`, and free the gradients."""
        import torch

        torch._foreach_add_([weight.steps for weight in self._weights], 1)
        for weight in self._weights:
            torch._fused_adamw_(  # what `torch.optim.AdamW` calls, after looking at all that is the same here in every step
                [weight.value], [weight.gradient(self._buffer)], [weight.mean], [weight.square], [], [weight.steps],
                amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=rate * weight.share,
                weight_decay=weight.decay, eps=self._epsilon, maximize=False, grad_scale=divisor,
            )  # fmt: skip
            weight.write_back()

    def values(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Each parameter with its fp32 value."""
        return [pair for weight in self._weights for pair in weight.values()]

    def state(self) -> dict[str, torch.Tensor]:
        """All that later steps depend on: the tensors themselves, no copies."""
        return {
            f"{index}.{name}": getattr(weight, name) for index, weight in enumerate(self._weights) for name in _STATE
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned; the model gets its values."""
        for index, weight in enumerate(self._weights):
            for name in _STATE:
                getattr(weight, name).copy_(state[f"{index}.{name}"])
            weight.write_back()


class _Weight:
    """The fp32 values and the moments of one large parameter, or of several small ones end to end."""

    def __init__(self, parameters: list[torch.nn.Parameter], decay: float, share: float) -> None:
        import torch

        self._parameters = parameters
        self.decay = decay
        self.share = share
        """Its share of the learning rate."""
        self._model_value = parameters[0].detach().view(-1) if len(parameters) == 1 else _flattened(parameters)
        """What the model computes with: the parameters' own memory."""
        in_place = self._model_value.dtype == torch.float32
        self.value = self._model_value if in_place else self._model_value.float()
        self.mean, self.square = torch.zeros_like(self.value), torch.zeros_like(self.value)
        self.steps = torch.zeros(())

    def gradient(self, buffer: torch.Tensor) -> torch.Tensor:
        """The gradient in fp32, copied to `buffer` only where it has to be; zeros for parameters that have none."""
        import torch

        flat = buffer[: len(self.value)]
        gradients = [
            torch.zeros_like(parameter).view(-1) if parameter.grad is None else parameter.grad.reshape(-1)
            for parameter in self._parameters
        ]
        if len(gradients) > 1:
            return flat.copy_(torch.cat(gradients))
        return gradients[0] if gradients[0].dtype == torch.float32 else flat.copy_(gradients[0])

    def write_back(self) -> None:
        """Give the model the new values, rounded to its format, and free the gradients."""
        if self._model_value is not self.value:
            self._model_value.copy_(self.value)
        for parameter in self._parameters:
            parameter.grad = None

    def values(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Each parameter with its fp32 value."""
        values = self.value.split([parameter.numel() for parameter in self._parameters])
        return [
            (parameter, value.view_as(parameter)) for parameter, value in zip(self._parameters, values, strict=True)
        ]


def _bundles(parameters: Sequence[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    """The parameters that are updated together: each large one alone, the small ones by format."""
    large: list[list[torch.nn.Parameter]] = []
    small: dict[torch.dtype, list[torch.nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.numel() >= SMALL and parameter.is_contiguous():
            large.append([parameter])
        else:
            small.setdefault(parameter.dtype, []).append(parameter)
    return large + list(small.values())


def _flattened(parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """Move parameters into one vector and make each a view of its part."""
    import torch

    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    parts = flat.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.data = part.view_as(parameter)
    return flat
