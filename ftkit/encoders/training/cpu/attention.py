"""Attention that a CPU trains with: in pieces that stay in its cache, dropout included, with a backward pass written out.

torch's fused attention has a slow backward pass on CPUs, and one made of single operations writes every score to memory five times:
at 512 tokens that took twice as long as the pieces do. What is computed is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.encoders.first_position import MARK
from ftkit.encoders.training.cpu.dropout import Blocks, Factors

PIECE = 2_000_000
"""Scores computed at a time, 4 MB in bf16: all heads of a row of 400 tokens, or many short rows."""

NAME = "ftkit-cpu"
"""What `attention` is called among transformers' attention implementations."""


def attention(
    module: nn.Module,
    query: torch.Tensor,  # (rows, heads, length, width)
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """What every position takes from the others, (rows, length, heads, width); the mask is added to the scores."""
    length = query.shape[2]
    if getattr(module, MARK, False):
        query = query[:, :, :1]
        attention_mask = attention_mask[:, :, :1] if attention_mask is not None else None
    if key.shape[1] != query.shape[1]:  # heads that share keys and values
        key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask[..., : key.shape[2]] if attention_mask is not None else None
    blocks: Blocks | None = getattr(module, "ftkit_blocks", None)
    dropped = dropout if module.training else 0.0
    learned = mask is not None and mask.requires_grad  # a bias of the scores
    # What is exported is told in single operations; dropout may be of a module that has no layer for it.
    if torch.compiler.is_compiling() or learned or (dropped and not blocks):
        found = _by_steps(query, key, value, mask, scale, blocks, dropped)
    else:
        scores = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
        factors = blocks.factors(scores, dropped, query.dtype) if blocks and dropped else None
        found = _Attention.apply(query, key, value, mask, scale, factors)
    found = found.transpose(1, 2)  # (rows, length, heads, width)
    return (found if found.shape[1] == length else found.expand(-1, length, -1, -1)).contiguous(), None


def _by_steps(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    blocks: Blocks | None,
    dropped: float,
) -> torch.Tensor:
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    if dropped:
        weights = blocks.drop(weights, dropped) if blocks else nn.functional.dropout(weights, dropped)
    return torch.matmul(weights, value)


class _Attention(torch.autograd.Function):
    """Attention of heads laid end to end: `query` and the rest become (rows × heads, length, width)."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
        factors: Factors | None,
    ) -> torch.Tensor:
        rows, heads, length, width = query.shape
        others = key.shape[2]
        scaled = torch.empty(query.shape, dtype=query.dtype)
        query, key, value = torch.mul(query, scale, out=scaled).flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        weights = query.new_empty(rows * heads, length, others)
        found = query.new_empty(rows * heads, length, width)
        pieces = list(_pieces(rows, heads, length * others))
        room = query.new_empty(pieces[0].stop - pieces[0].start, length, others)
        for piece in pieces:
            scores = room[: piece.stop - piece.start]
            torch.bmm(query[piece], key[piece].transpose(1, 2), out=scores)
            if mask is not None:
                scores.view(-1, heads, length, others).add_(_of_rows(mask, piece, heads))
            _softmax(scores, weights[piece])
            kept = weights[piece]
            if factors:
                factors.times(kept, scores, piece.start * length * others)
                kept = scores
            torch.bmm(kept, value[piece], out=found[piece])
        context.save_for_backward(query, key, value, weights)
        context.scale, context.factors, context.pieces = scale, factors, pieces
        context.heads = heads
        return found.view(rows, heads, length, width)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights = context.saved_tensors
        factors: Factors | None = context.factors
        given = gradients[0].flatten(0, 1).contiguous()
        of_query, of_key, of_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        size = weights[0].numel()
        room = torch.empty_like(weights[context.pieces[0]])
        for piece in context.pieces:
            scores, kept = room[: piece.stop - piece.start], weights[piece]
            if factors:
                factors.times(weights[piece], scores, piece.start * size)
                kept = scores
            torch.bmm(kept.transpose(1, 2), given[piece], out=of_value[piece])
            torch.bmm(given[piece], value[piece].transpose(1, 2), out=scores)
            if factors:
                factors.times(scores, scores, piece.start * size)
            of_scores = torch._softmax_backward_data(scores, weights[piece], -1, weights.dtype)
            torch.bmm(of_scores, key[piece], out=of_query[piece])
            torch.bmm(of_scores.transpose(1, 2), query[piece], out=of_key[piece])
        of_query.mul_(context.scale)
        return *(each.unflatten(0, (-1, context.heads)) for each in (of_query, of_key, of_value)), None, None, None


def _softmax(scores: torch.Tensor, out: torch.Tensor) -> None:
    """Softmax over the last dimension, into `out`.

    torch's for bf16 takes the values that no full vector register of 32 is left for one by one; its fp32 does not.
    """
    if scores.dtype == torch.bfloat16 and scores.shape[-1] % 32:
        out.copy_(torch.softmax(scores, -1, dtype=torch.float32))
    else:
        torch.softmax(scores, -1, out=out)


def _pieces(rows: int, heads: int, scores: int) -> list[slice]:
    """Heads to compute at a time, all of whole rows, where one has so many scores."""
    size = max(1, PIECE // max(heads * scores, 1)) * heads
    return [slice(start, min(start + size, rows * heads)) for start in range(0, max(rows * heads, 1), size)]


def _of_rows(mask: torch.Tensor, piece: slice, heads: int) -> torch.Tensor:
    """The part of a mask, (rows or 1, heads or 1, length or 1, length), that is for these heads of whole rows."""
    return mask if mask.shape[0] == 1 else mask[piece.start // heads : piece.stop // heads]


def register() -> None:
    """Make `attention` known to transformers. Source: transformers' documentation, "Attention backends"."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, eager_mask)
