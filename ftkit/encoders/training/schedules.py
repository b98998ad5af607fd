"""When things happen in a training: the learning rate of each step, and the steps after which it is evaluated."""

from __future__ import annotations

import math
from typing import Literal

Shape = Literal["linear", "cosine", "constant"]


def rate_share(step: int, steps: int, warmup: float, shape: Shape = "linear") -> float:
    """The share of the highest learning rate at a step: it rises linearly in the warm-up, then follows the shape.

    Source: Devlin et al. 2019, released code, `optimization.py`, for the line; Loshchilov and Hutter 2017, "SGDR: Stochastic
    Gradient Descent with Warm Restarts", section 3, for the cosine, without restarts.
    """
    rising = int(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    if shape == "constant":
        return 1.0
    left = (steps - step) / max(steps - rising, 1)
    return left if shape == "linear" else (1 - math.cos(math.pi * left)) / 2


def evaluation_steps(every: float, batches: int, epochs: int) -> frozenset[int]:
    """The numbers of steps after which a training is evaluated, its last one among them.

    `every` is a share of an epoch of so many batches, or above 1 a number of steps.
    """
    steps = batches * epochs
    if every > 1:
        return frozenset([*range(int(every), steps, int(every)), steps])
    count = math.floor(epochs / every + 1e-9)
    return frozenset([*(max(math.ceil(index * every * batches - 1e-9), 1) for index in range(1, count + 1)), steps])
