"""Which rows a served encoder computes in one call: rows of similar length, and only as many as make it faster.

More rows at once make a processor slower as soon as the values between two matrix products no longer fit into the cache
of its core: benchmarks/README.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_PADDING = 1 / 8
"""Largest share of padding in a call: computing rows together gains no more than that."""
SLACK = 16
"""Tokens of padding that are always allowed: fewer do not justify a further call."""


def batches(lengths: Sequence[int], budget: int, max_rows: int | None = None) -> list[list[int]]:
    """Indices of all rows, in batches of at most `budget` tokens, padding included, and `max_rows` rows.

    A row longer than the budget is a batch of its own. The longest rows come first, so that those that do not fit into
    memory fail at once.
    """
    divided: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        rows = len(divided[-1]) + 1 if divided else 0
        if divided and rows * lengths[divided[-1][0]] <= budget and (max_rows is None or rows <= max_rows):
            divided[-1].append(index)
        else:
            divided.append([index])
    return divided


def next_batch(lengths: Sequence[int], budget: int, max_padding: float = MAX_PADDING) -> list[int]:
    """Indices of the waiting rows for the next call: the first, which waits longest, and those of similar length."""
    chosen = [0]
    longest = total = lengths[0]
    for index in sorted(range(1, len(lengths)), key=lambda row: abs(lengths[row] - lengths[0])):
        padded_length = max(longest, lengths[index])
        padded_total = (len(chosen) + 1) * padded_length
        padding = padded_total - total - lengths[index]
        if padded_total > budget or padding > max(SLACK, max_padding * padded_total):
            break
        chosen.append(index)
        longest, total = padded_length, total + lengths[index]
    return chosen
