"""What a served encoder computes in one call: rows of like length, and no more of them than make it faster.

More rows at once make a processor slower, not faster, as soon as what passes between two products no longer fits into the
cache of its core: benchmarks/README.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

WASTE = 1 / 8
"""Share of a call that may be padding: what rows gain by being computed together is no more than that."""
SLACK = 16
"""Tokens of padding that are not worth a call of its own."""


def portions(lengths: Sequence[int], budget: int, most: int | None = None) -> list[list[int]]:
    """Indices of rows in calls of at most `budget` tokens, padding included, and `most` rows; a row beyond the budget alone.

    The longest come first, so that what does not fit into memory fails at once.
    """
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        rows = len(found[-1]) + 1 if found else 0
        if found and rows * lengths[found[-1][0]] <= budget and (most is None or rows <= most):
            found[-1].append(index)
        else:
            found.append([index])
    return found


def together(lengths: Sequence[int], budget: int, waste: float = WASTE) -> list[int]:
    """Which of the rows that wait, in the order they came, go into the next call: the first, and those most like it."""
    chosen = [0]
    longest = total = lengths[0]
    for index in sorted(range(1, len(lengths)), key=lambda each: abs(lengths[each] - lengths[0])):
        high = max(longest, lengths[index])
        whole = (len(chosen) + 1) * high
        if whole > budget or whole - total - lengths[index] > max(SLACK, waste * whole):
            break
        chosen.append(index)
        longest, total = high, total + lengths[index]
    return chosen
