"""Digests of many texts as numbers: which are equal, and in which order they stand, without a Python object for each."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BYTES = 16
_SOME = 2**14
"""Digests that are joined at a time."""


def digest_of(key: str) -> bytes:
    """A digest of a folded text, by which equal texts are recognised, within a split and across splits."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()


class Digests:
    """Digests one behind the other."""

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._bytes = bytearray()
        left = iter(digests)
        while some := b"".join(itertools.islice(left, _SOME)):
            self._bytes += some

    def append(self, digest: bytes) -> None:
        """Add one."""
        self._bytes += digest

    def __len__(self) -> int:
        return len(self._bytes) // BYTES

    def __getitem__(self, row: int) -> bytes:
        return bytes(self._bytes[row * BYTES : (row + 1) * BYTES])

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))

    @property
    def content(self) -> memoryview:
        """Their bytes; while it is in use, none can be added."""
        return memoryview(self._bytes)

    @property
    def numbers(self) -> np.ndarray:
        """Each digest as two numbers that sort as its bytes do, (digests, 2)."""
        import numpy as np

        return np.frombuffer(self._bytes, ">u8").astype(np.uint64).reshape(-1, 2)


def order(numbers: np.ndarray) -> np.ndarray:
    """The indices that sort digests; equal ones stay in their order."""
    import numpy as np

    return np.lexsort((numbers[:, 1], numbers[:, 0]))


def groups(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices of digests, equal ones next to each other and ascending, and where in them each group begins."""
    import numpy as np

    ranked = order(numbers)
    in_order = numbers[ranked]
    return ranked, np.flatnonzero(np.append(True, (in_order[1:] != in_order[:-1]).any(axis=1))[: len(ranked)])


def among(numbers: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each digest, whether it is one of the others."""
    import numpy as np

    result = np.isin(numbers[:, 0], others[:, 0])  # half of a digest: the few that are equal so far are compared whole
    if result.any():
        ranked, begins = groups(np.concatenate([others, numbers[result]]))
        known = np.zeros(len(ranked), dtype=bool)
        known[ranked] = np.repeat(ranked[begins] < len(others), np.diff(np.append(begins, len(ranked))))
        result[result] = known[len(others) :]
    return result


def sorted_by(digests: Sequence[bytes] | Iterator[bytes]) -> list[int]:
    """The indices that sort digests."""
    ranked: list[int] = order(Digests(digests).numbers).tolist()
    return ranked
