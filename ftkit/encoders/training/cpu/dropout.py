"""Dropout with few random numbers: on a CPU, drawing them for torch's own takes up to half of a training step.

A block of scaled mask values is drawn once for many uses, and each use multiplies by a slice of it from a random place.
Within a slice the values are independent. Slices may overlap, so across uses, and across the slices of one large use,
they are not entirely independent. The drop probability, the scale of the values that remain, and repeatability by seed
are those of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

BLOCK_SIZE = 2**22
"""Mask values of a block: 8 MB in bf16, to stay within reach of the cache; a larger use takes several slices."""

RENEWED_AFTER = 64
"""Blocks' worth of mask values that are used before a new block is drawn: many uses share the cost of drawing it."""

_MASKS_ATTRIBUTE = "ftkit_dropout_masks"


class DropoutMask:
    """The scaled mask of one use of dropout: slices of a block, end to end."""

    def __init__(self, slices: list[torch.Tensor]) -> None:
        self._slices = slices

    def multiply(self, values: torch.Tensor, out: torch.Tensor, start: int = 0) -> None:
        """Write contiguous values times the mask to `out`; the first of the values is number `start` of the use."""
        source, target = values.view(-1), out.view(-1)
        for part, mask in self._parts(start, values.numel()):
            torch.mul(source[part], mask, out=target[part])

    def multiply_and_add(self, values: torch.Tensor, added: torch.Tensor, out: torch.Tensor) -> None:
        """Write contiguous values times the mask, and what is added to them, to `out`."""
        source, other, target = values.view(-1), added.reshape(-1), out.view(-1)
        for part, mask in self._parts(0, values.numel()):
            torch.addcmul(other[part], source[part], mask, out=target[part])

    def _parts(self, start: int, count: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Values of the use from `start` on, as slices of them, each with its mask."""
        first, end = 0, start + count
        for mask in self._slices:
            low, high = max(start, first), min(end, first + len(mask))
            if low < high:
                yield slice(low - start, high - start), mask[low - first : high - first]
            first += len(mask)


class _Block:
    """Mask values of one drop probability in one number format: zero, or 1 / (1 - probability)."""

    def __init__(self, probability: float, dtype: torch.dtype, seed: int) -> None:
        self._probability = probability
        self._dtype = dtype
        self._random = torch.Generator().manual_seed(seed)
        self._remaining = 0
        self._before = self._random.get_state()  # of the generator, before it drew these values
        self._values = torch.empty(0)

    def _slice(self, count: int) -> torch.Tensor:
        """`count` mask values from a random place; draws a new block first where it is time."""
        self._remaining -= count
        if self._remaining < 0:
            self._remaining = RENEWED_AFTER * BLOCK_SIZE
            self._draw()
        start = int(torch.randint(BLOCK_SIZE - count + 1, (1,), generator=self._random))
        return self._values[start : start + count]

    def _draw(self) -> None:
        self._before = self._random.get_state()
        kept = torch.rand(BLOCK_SIZE, generator=self._random) >= self._probability
        self._values = kept.to(self._dtype) / (1 - self._probability)

    def state(self) -> dict[str, torch.Tensor]:
        """All that later masks depend on: two states of the generator stand for the values, which are drawn again."""
        return {
            "before": self._before,
            "random": self._random.get_state(),
            "remaining": torch.tensor(self._remaining),
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned."""
        self._remaining = int(state["remaining"])
        self._random.set_state(state["before"])
        self._draw()
        self._random.set_state(state["random"])

    def mask(self, count: int) -> DropoutMask:
        """A mask for `count` values, in slices of at most half a block."""
        largest = BLOCK_SIZE // 2
        return DropoutMask([self._slice(min(largest, count - start)) for start in range(0, count, largest)])


class _Multiply(torch.autograd.Function):
    """Values times a mask; the backward pass is the same product, and stores views of the block and no mask."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, mask: DropoutMask) -> torch.Tensor:
        context.mask = mask
        return _product(values, mask)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _product(gradients[0], context.mask), None


def _product(values: torch.Tensor, mask: DropoutMask) -> torch.Tensor:
    values = values.contiguous()
    result = torch.empty_like(values)
    mask.multiply(values, result)
    return result


class DropoutMasks:
    """Draws all dropout masks of one training, from a block for each probability and number format."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: dict[tuple[float, torch.dtype], _Block] = {}
        self._recorded: list[DropoutMask] | None = None
        self._repeated: Iterator[DropoutMask] | None = None

    def drop(self, values: torch.Tensor, probability: float) -> torch.Tensor:
        """Values after dropout."""
        return _Multiply.apply(values, self.mask(values.numel(), probability, values.dtype))

    def mask(self, count: int, probability: float, dtype: torch.dtype) -> DropoutMask:
        """A mask for `count` values."""
        if self._repeated is not None:
            return next(self._repeated)
        mask = self._drawn(count, probability, dtype)
        if self._recorded is not None:
            self._recorded.append(mask)
        return mask

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Two contexts: the masks that are drawn in the first one are drawn again in the second.

        Source: torch's documentation of `torch.utils.checkpoint`, `context_fn`.
        """
        masks: list[DropoutMask] = []
        return self._recording(masks), self._repeating(masks)

    @contextmanager
    def _recording(self, masks: list[DropoutMask]) -> Iterator[None]:
        self._recorded = masks
        try:
            yield
        finally:
            self._recorded = None

    @contextmanager
    def _repeating(self, masks: list[DropoutMask]) -> Iterator[None]:
        self._repeated = iter(masks)
        try:
            yield
        finally:
            self._repeated = None

    def _drawn(self, count: int, probability: float, dtype: torch.dtype) -> DropoutMask:
        key = (probability, dtype)
        if key not in self._blocks:
            self._blocks[key] = _Block(probability, dtype, self._seed + len(self._blocks))
        return self._blocks[key].mask(count)

    def state(self) -> dict[str, torch.Tensor]:
        """All that later masks depend on, by the place of each block, which decides its seed, and by its key."""
        return {
            f"{place}/{probability!r}/{str(dtype).removeprefix('torch.')}/{name}": value
            for place, ((probability, dtype), block) in enumerate(self._blocks.items())
            for name, value in block.state().items()
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned."""
        states: dict[tuple[str, ...], dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            *identity, name = key.split("/")
            states.setdefault(tuple(identity), {})[name] = value
        self._blocks = {}
        for place, probability, number_format in sorted(states, key=lambda identity: int(identity[0])):
            dtype: torch.dtype = getattr(torch, number_format)
            block = _Block(float(probability), dtype, self._seed + len(self._blocks))
            block.restore(states[place, probability, number_format])
            self._blocks[float(probability), dtype] = block


class Dropout(nn.Module):
    """Replaces `nn.Dropout`."""

    def __init__(self, probability: float, masks: DropoutMasks) -> None:
        super().__init__()
        self.p = probability
        self.masks = masks

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.masks.drop(values, self.p) if self.training and self.p else values


def replace(model: nn.Module, seed: int) -> DropoutMasks:
    """Replace every dropout layer of a model by one that takes its masks from shared blocks, and return these."""
    masks = DropoutMasks(seed)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p, masks))
                set_masks(module, masks)
    return masks


def set_masks(module: nn.Module, masks: DropoutMasks) -> None:
    """Let a module that computes dropout itself, such as attention, take its masks from there."""
    setattr(module, _MASKS_ATTRIBUTE, masks)


def masks_of(module: nn.Module) -> DropoutMasks | None:
    """Where a module takes its masks from; None for a module without a dropout layer."""
    return getattr(module, _MASKS_ATTRIBUTE, None)
