"""Weights of torch as padded arrays: what is added is zero, and changes no result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


CUTS = tuple(1 - 0.025 * step for step in range(13))
"""Shares of the widest scale that are tried for 8-bit weights."""


def up(count: int, multiple: int) -> int:
    """The next multiple."""
    return -(-count // multiple) * multiple


def padded(values: Any, *sizes: int) -> np.ndarray:
    """An array or a tensor in single precision, with zeros up to these sizes."""
    import numpy as np

    array = values.detach().float().numpy() if hasattr(values, "detach") else np.asarray(values, np.float32)
    result = np.zeros(sizes, np.float32)
    result[tuple(map(slice, array.shape))] = array
    return result


def vector(values: Any, size: int) -> np.ndarray:
    """A bias, or zeros where there is none, with zeros up to this size."""
    return padded([] if values is None else values, size)


def attention_in(
    modules: Sequence[Any], heads: int, used: int, head: int, hidden: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weights of queries, keys and values as one, (3 * columns, hidden), and their biases; each head is padded, and all heads together."""
    import numpy as np

    width = up(heads * head, 64)
    weights, biases = [], []
    for module in modules:
        by_head = padded(module.weight, heads * used, hidden).reshape(heads, used, hidden)
        weights.append(padded(padded(by_head, heads, head, hidden).reshape(heads * head, hidden), width, hidden))
        bias = vector(module.bias, heads * used).reshape(heads, used)
        biases.append(padded(padded(bias, heads, head).reshape(-1), width))
    return np.concatenate(weights), np.concatenate(biases)


def attention_out(weight: Any, heads: int, used: int, head: int, hidden: int) -> np.ndarray:
    """The weight that follows attention, (hidden, columns)."""
    by_head = padded(weight, hidden, heads * used).reshape(hidden, heads, used)
    return padded(padded(by_head, hidden, heads, head).reshape(hidden, heads * head), hidden, up(heads * head, 64))


def _rounded(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.clip(np.rint(weight / scale[:, None]), -127, 127)


def _best_scales(weight: np.ndarray) -> np.ndarray:
    """The scale of each output, by which 8-bit weights have the least squared error.

    The largest weights may be cut off for it, since a few of them would make the steps of all others wide.
    """
    import numpy as np

    widest = np.maximum(np.abs(weight).max(axis=1), 1e-12) / 127
    best, least = widest, np.full(len(weight), np.inf)
    for share in CUTS:
        scale = widest * share
        error = ((_rounded(weight, scale) * scale[:, None] - weight) ** 2).sum(axis=1)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best


class Linear:
    """Adds a product's weight to arrays, in bf16 or in 8-bit integers with a scale for each output."""

    def __init__(self, arrays: dict[str, np.ndarray], int8: bool) -> None:
        self.arrays = arrays
        self.int8 = int8

    def __call__(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        """Add `name`, its bias, and its scale where it has one."""
        import numpy as np

        self.arrays[f"{name}_bias"] = bias
        if not self.int8:
            self.arrays[name] = self.bf16(weight)
            return
        scale = _best_scales(weight)
        self.arrays[name] = _rounded(weight, scale).astype(np.int8)
        self.arrays[f"{name}_scale"] = scale.astype(np.float32)

    @staticmethod
    def bf16(values: np.ndarray) -> np.ndarray:
        """The upper 16 bits of single precision, rounded to the nearest."""
        import numpy as np

        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
