"""Dropout that a CPU can afford: with torch's own, drawing random numbers takes up to half of a training step.

One block of keep-or-drop factors is drawn now and then, and each use multiplies by a slice of it from a random place.
Within a slice the factors are independent; slices may overlap, so that across uses, and across the slices of one large
use, they are not quite. Drop probabilities, the scale of what is kept, and repeatability by seed are those of torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZE = 2**22
"""Factors in a block: 8 MB in bf16, so that it stays in the cache's reach; a larger use takes several slices."""

RENEWED = 64
"""Blocks' worth of factors used before the next block is drawn, so that drawing is shared by many uses."""


class Block:
    """Factors of one drop probability in one number format: zero, or 1 / (1 - probability)."""

    def __init__(self, probability: float, dtype: torch.dtype, seed: int) -> None:
        self._probability = probability
        self._dtype = dtype
        self._random = torch.Generator().manual_seed(seed)
        self._left = 0
        self._factors = torch.empty(0)

    def _place(self, count: int) -> int:
        """Where a slice of `count` factors begins."""
        self._left -= count
        if self._left < 0:
            self._left = RENEWED * SIZE
            kept = torch.rand(SIZE, generator=self._random) >= self._probability
            self._factors = kept.to(self._dtype) / (1 - self._probability)
        return int(torch.randint(SIZE - count + 1, (1,), generator=self._random))

    def factors(self, count: int) -> Factors:
        """Factors for `count` values, in slices of at most half a block."""
        largest = SIZE // 2
        found = []
        for start in range(0, count, largest):
            size = min(largest, count - start)
            place = self._place(size)
            found.append(self._factors[place : place + size])
        return Factors(found)


class Factors:
    """What one use of dropout multiplies by: views of a block, end to end."""

    def __init__(self, parts: list[torch.Tensor]) -> None:
        self._parts = parts

    def times(self, values: torch.Tensor, out: torch.Tensor, start: int = 0) -> None:
        """Multiply contiguous values, of which the first is number `start` of the use, into `out`."""
        source, target, ends = values.view(-1), out.view(-1), start + values.numel()
        first = 0
        for part in self._parts:
            low, high = max(start, first), min(ends, first + len(part))
            if low < high:
                here = slice(low - start, high - start)
                torch.mul(source[here], part[low - first : high - first], out=target[here])
            first += len(part)


class _Multiply(torch.autograd.Function):
    """Values times factors; the backward pass is the same product, and keeps views of the block in place of a mask."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, factors: Factors) -> torch.Tensor:
        context.factors = factors
        return _product(values, factors)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _product(gradients[0], context.factors), None


def _product(values: torch.Tensor, factors: Factors) -> torch.Tensor:
    values = values.contiguous()
    result = torch.empty_like(values)
    factors.times(values, result)
    return result


class Blocks:
    """The blocks of one training, by probability and number format."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: dict[tuple[float, torch.dtype], Block] = {}

    def drop(self, values: torch.Tensor, probability: float) -> torch.Tensor:
        """Dropout of values in training."""
        return _Multiply.apply(values, self.factors(values.numel(), probability, values.dtype))

    def factors(self, count: int, probability: float, dtype: torch.dtype) -> Factors:
        """What to multiply so many values by."""
        key = (probability, dtype)
        if key not in self._blocks:
            self._blocks[key] = Block(probability, dtype, self._seed + len(self._blocks))
        return self._blocks[key].factors(count)


class Dropout(nn.Module):
    """Takes the place of `nn.Dropout`."""

    def __init__(self, probability: float, blocks: Blocks) -> None:
        super().__init__()
        self.p = probability
        self.blocks = blocks

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.blocks.drop(values, self.p) if self.training and self.p else values


def replace(model: nn.Module, seed: int) -> None:
    """Let every dropout of a model draw from blocks."""
    blocks = Blocks(seed)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p, blocks))
                module.ftkit_blocks = blocks  # type: ignore[assignment]
