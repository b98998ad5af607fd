"""Dropout that a CPU can afford: with torch's own, drawing random numbers takes up to half of a training step.

One block of keep-or-drop factors is drawn now and then, and each use multiplies by a slice of it from a random place.
Within a slice the factors are independent; slices may overlap, so that across uses, and across the slices of one large
use, they are not quite. Drop probabilities, the scale of what is kept, and repeatability by seed are those of torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.encoders.position import MARK

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

    def slices(self, count: int) -> list[torch.Tensor]:
        """Factors for `count` values, in slices of at most half a block."""
        largest = SIZE // 2
        found = []
        for start in range(0, count, largest):
            size = min(largest, count - start)
            place = self._place(size)
            found.append(self._factors[place : place + size])
        return found


class _Multiply(torch.autograd.Function):
    """Values times factors; the backward pass is the same product, and keeps views of the block in place of a mask."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
        context.factors = factors
        return _product(values, factors)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _product(gradients[0], context.factors), None


def _product(values: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
    if len(factors) == 1:
        return values * factors[0].view(values.shape)
    result = torch.empty_like(values, memory_format=torch.contiguous_format)
    flat, source, start = result.view(-1), values.reshape(-1), 0
    for part in factors:
        end = start + len(part)
        torch.mul(source[start:end], part, out=flat[start:end])
        start = end
    return result


class Blocks:
    """The blocks of one training, by probability and number format."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: dict[tuple[float, torch.dtype], Block] = {}

    def drop(self, values: torch.Tensor, probability: float) -> torch.Tensor:
        """Dropout of values in training."""
        key = (probability, values.dtype)
        if key not in self._blocks:
            self._blocks[key] = Block(probability, values.dtype, self._seed + len(self._blocks))
        return _Multiply.apply(values, self._blocks[key].slices(values.numel()))


class Dropout(nn.Module):
    """Takes the place of `nn.Dropout`."""

    def __init__(self, probability: float, blocks: Blocks) -> None:
        super().__init__()
        self.p = probability
        self.blocks = blocks

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.blocks.drop(values, self.p) if self.training and self.p else values


def attention(
    module: nn.Module,
    query: torch.Tensor,  # (batch, heads, length, width)
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention step by step, as torch's fused one has a slow backward pass on CPUs: 46 % of a bf16 step at 64 tokens."""
    length = query.shape[2]
    if getattr(module, MARK, False):
        query = query[:, :, :1]
        attention_mask = attention_mask[:, :, :1] if attention_mask is not None else None
    if key.shape[1] != query.shape[1]:  # heads that share keys and values
        key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))  # (batch, heads, length, length)
    if attention_mask is not None:
        scores += attention_mask[..., : scores.shape[-1]]
    weights = torch.softmax(scores, dim=-1)
    blocks: Blocks | None = getattr(module, "ftkit_blocks", None)
    if dropout and module.training:
        weights = blocks.drop(weights, dropout) if blocks else nn.functional.dropout(weights, dropout)
    found = torch.matmul(weights, value).transpose(1, 2)  # (batch, length, heads, width)
    return (found if found.shape[1] == length else found.expand(-1, length, -1, -1)).contiguous(), weights


NAME = "ftkit-cpu"
"""What `attention` is called among transformers' attention implementations."""


def register() -> None:
    """Make `attention` known to transformers. Source: transformers' documentation, "Attention backends"."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, eager_mask)


def replace(model: nn.Module, seed: int) -> None:
    """Let every dropout of a model draw from blocks."""
    blocks = Blocks(seed)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p, blocks))
                module.ftkit_blocks = blocks  # type: ignore[assignment]
