"""Where the tokens of a stream are among rows of one length, on a CPU: attention alone needs rows, and gathers them head by head.

Heads must be gathered anyway: their vectors lie apart in what a linear layer returns. So the gathering that rows need costs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ftkit.encoders.stream import Rows

ROUND = 16
"""Rows are as long as the longest, rounded up to this, so that few shapes occur."""


class Places:
    """The vectors of each token's heads, in a stream and in rows; all states are those of one kind of layer.

    Padding of rows takes the vectors of the stream's last token, which belongs to no row: its gradient is zero.
    """

    def __init__(self, rows: Rows, heads: int, *, heads_first: bool) -> None:
        counts = rows.offsets.diff()
        self._counts: list[int] = counts.tolist()
        self.rows, self.heads, self.heads_first = len(counts), heads, heads_first
        self.length = -(-rows.longest // ROUND) * ROUND
        self._total, self._real = rows.total, int(rows.offsets[-1])
        place = torch.arange(self.length)
        self._is_real = place < counts[:, None]  # (rows, length)
        token = torch.where(self._is_real, rows.offsets[:-1, None] + place, rows.total - 1)
        head = torch.arange(heads)
        self._token = token.view(-1)
        of_row = self._is_real.nonzero()  # (real tokens, 2)
        if heads_first:
            self._in_stream = (token * heads + head[:, None, None]).view(-1)
            row = head * self.rows + of_row[:, :1]
        else:
            self._in_stream = (token[:, None] * heads + head[:, None]).view(-1)
            row = of_row[:, :1] * heads + head
        self._in_rows = torch.zeros(rows.total, heads, dtype=torch.long)  # that of a token without a row is not read
        self._in_rows[: self._real] = row * self.length + of_row[:, 1:]
        self._in_rows = self._in_rows.view(-1)
        self._in_whole_rows = torch.zeros(rows.total, dtype=torch.long)
        self._in_whole_rows[: self._real] = of_row[:, 0] * self.length + of_row[:, 1]
        self._masks: dict[torch.dtype, torch.Tensor] = {}

    def by_head(self, states: torch.Tensor) -> torch.Tensor:
        """States of a stream, (1, tokens, heads x width), as (rows, heads, length, width), or with heads first."""
        flat = states.reshape(self._total * self.heads, -1)
        gathered: torch.Tensor = _Gathered.apply(
            flat, self._in_stream, self._in_rows, (self._total - self._real) * self.heads
        )
        order = (self.heads, self.rows) if self.heads_first else (self.rows, self.heads)
        return gathered.view(*order, self.length, -1)

    def joined(self, states: torch.Tensor) -> torch.Tensor:
        """What `by_head` took apart, (1, tokens, heads x width)."""
        flat = states.reshape(len(self._in_stream), -1)
        gathered: torch.Tensor = _Gathered.apply(flat, self._in_rows, self._in_stream, 0)
        return gathered.view(1, self._total, -1)

    def tokens(self, hidden: torch.Tensor) -> torch.Tensor:
        """The tokens of a stream, (1, tokens, width), as (rows, length, width)."""
        back = self._in_whole_rows
        gathered: torch.Tensor = _Gathered.apply(hidden[0], self._token, back, self._total - self._real)
        return gathered.view(self.rows, self.length, -1)

    def forbid(self, scores: torch.Tensor, first: int) -> None:
        """Make scores of padding the least number; they are those of the rows from `first` on, (rows, heads, length, length).

        A mask that is added goes over all scores: with rows of 112 tokens that took longer than their product.
        """
        for row, count in zip(scores, self._counts[first : first + len(scores)], strict=True):
            if count < self.length:
                row[..., count:] = torch.finfo(scores.dtype).min

    def mask(self, dtype: torch.dtype) -> torch.Tensor | None:
        """What is added to scores, (rows, 1, 1, length): the least number for padding; None where there is none."""
        if self._real == self._is_real.numel():
            return None
        if dtype not in self._masks:
            zeros = torch.zeros(self.rows, 1, 1, self.length, dtype=dtype)
            self._masks[dtype] = zeros.masked_fill_(~self._is_real[:, None, None], torch.finfo(dtype).min)
        return self._masks[dtype]


class _Gathered(torch.autograd.Function):
    """Vectors from other places, (…, width); a gradient is gathered back, but for the last vectors, which nobody has read."""

    @staticmethod
    def forward(
        context: Any, vectors: torch.Tensor, places: torch.Tensor, back: torch.Tensor, unread: int
    ) -> torch.Tensor:
        context.back, context.unread = back, unread
        return vectors.index_select(0, places)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gathered = gradients[0].contiguous().index_select(0, context.back)
        if context.unread:
            gathered[-context.unread :] = 0
        return gathered, None, None, None


def places_of(rows: Rows, heads: int, *, heads_first: bool = False) -> Places:
    """The places of these rows, which all layers share."""
    key = heads, heads_first
    if key not in rows.places:
        rows.places[key] = Places(rows, heads, heads_first=heads_first)
    return rows.places[key]
