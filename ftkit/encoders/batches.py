"""Rows of like length together, so that little of a batch is padding; lengths rounded, so that few shapes occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

POOL = 50
"""Batches that are sorted together: random batches of reviews are 42 % real tokens, those of such pools 98 %."""

ROUND = 16
"""Lengths are rounded up to a multiple: every new shape makes the matrix library build new kernels."""


def training_batches(lengths: np.ndarray, size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Row indices of one epoch: every row once, in random order but for its neighbours' like length."""
    import numpy as np

    order = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[index : index + size] for index in range(0, len(pool), size)]
    return [batches[index] for index in random.permutation(len(batches))]


def pad(rows: Sequence[np.ndarray], padding: int, limit: int, side: str = "right") -> tuple[torch.Tensor, torch.Tensor]:
    """`padded` as tensors."""
    import torch

    ids, mask = padded(rows, padding, limit, side)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padded(
    rows: Sequence[np.ndarray], padding: int, limit: int, side: str = "right", multiple: int = ROUND
) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and attention mask, (rows, length), the length rounded up but never beyond the model's limit.

    A single row stays as it is: a request that comes alone is waited for, and its kernels are quickly built.
    """
    import numpy as np

    longest = max(map(len, rows), default=1)
    length = longest if len(rows) == 1 else max(longest, min(-(-longest // multiple) * multiple, limit))
    ids = np.full((len(rows), length), padding, dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for index, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(length - len(row), length)
        ids[index, place] = row
        mask[index, place] = 1
    return ids, mask
