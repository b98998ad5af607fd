"""Attention for training on a CPU: in pieces that stay in its cache, dropout included, with a backward pass of its own.

torch's fused attention has a slow backward pass on CPUs, and attention in single operations writes every score to
memory five times: at 512 tokens that took twice as long as the pieces do. The result is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.encoders.first_attention import FIRST_POSITION_ONLY
from ftkit.encoders.stream import stream_of
from ftkit.encoders.training.cpu.dropout import DropoutMask, DropoutMasks, masks_of
from ftkit.encoders.training.cpu.places import Places, places_of

PIECE = 2_000_000
"""Scores computed at once, 4 MB in bf16: all heads of a row of 400 tokens, or many short rows."""

NAME = "ftkit-cpu"
"""The name of `attention` among transformers' attention implementations."""


def attention(
    module: nn.Module,
    query: torch.Tensor,  # (rows, heads, length, width), of a stream (1, heads, tokens, width)
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The output of attention, (rows, length, heads, width); the mask is added to the scores."""
    length = query.shape[2]
    rows = stream_of(module)
    places = places_of(rows, query.shape[1]) if rows else None
    if places:
        query, key, value = (places.by_head(each.transpose(1, 2)) for each in (query, key, value))
        attention_mask = None  # the places know which scores are of padding
    elif getattr(module, FIRST_POSITION_ONLY, False):
        query = query[:, :, :1]
        attention_mask = attention_mask[:, :, :1] if attention_mask is not None else None
    if key.shape[1] != query.shape[1]:  # several heads share keys and values
        key, value = (heads.repeat_interleave(query.shape[1] // heads.shape[1], 1) for heads in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask[..., : key.shape[2]] if attention_mask is not None else None
    masks = masks_of(module)
    probability = dropout if module.training else 0.0
    learned_bias = mask is not None and mask.requires_grad
    # An export needs single operations, and so does dropout in a module without a dropout layer.
    if torch.compiler.is_compiling() or learned_bias or (probability and not masks):
        added = places.mask(query.dtype) if places else mask
        output = _single_operations(query, key, value, added, scale, masks, probability)
    else:
        scores = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
        dropout_mask = masks.mask(scores, probability, query.dtype) if masks and probability else None
        output = _Attention.apply(query, key, value, mask, scale, dropout_mask, places)
    if places:
        return places.joined(output).view(1, length, output.shape[1], -1), None
    output = output.transpose(1, 2)  # (rows, length, heads, width)
    return (output if output.shape[1] == length else output.expand(-1, length, -1, -1)).contiguous(), None


def _single_operations(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    masks: DropoutMasks | None,
    probability: float,
) -> torch.Tensor:
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    if probability:
        weights = masks.drop(weights, probability) if masks else nn.functional.dropout(weights, probability)
    return torch.matmul(weights, value)


class _Attention(torch.autograd.Function):
    """Attention of heads laid end to end: `query`, `key` and `value` become (rows × heads, length, width)."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
        dropout_mask: DropoutMask | None,
        places: Places | None,
    ) -> torch.Tensor:
        rows, heads, length, width = query.shape
        keys = key.shape[2]
        query, key, value = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        weights = query.new_empty(rows * heads, length, keys)
        output = query.new_empty(rows * heads, length, width)
        pieces = list(_pieces(rows, heads, length * keys))
        buffer = query.new_empty(pieces[0].stop - pieces[0].start, length, keys)
        for piece in pieces:
            scores = buffer[: piece.stop - piece.start]
            torch.baddbmm(scores, query[piece], key[piece].transpose(1, 2), beta=0, alpha=scale, out=scores)
            by_row = scores.view(-1, heads, length, keys)
            if mask is not None:
                by_row.add_(_mask_of(mask, piece, heads))
            if places:
                places.forbid(by_row, piece.start // heads)
            softmax(scores, weights[piece])
            dropped = weights[piece]
            if dropout_mask:
                dropout_mask.multiply(dropped, scores, piece.start * length * keys)
                dropped = scores
            torch.bmm(dropped, value[piece], out=output[piece])
        context.save_for_backward(query, key, value, weights)
        context.scale, context.dropout_mask, context.pieces = scale, dropout_mask, pieces
        context.heads = heads
        return output.view(rows, heads, length, width)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights = context.saved_tensors
        dropout_mask: DropoutMask | None = context.dropout_mask
        gradient = gradients[0].flatten(0, 1).contiguous()
        query_gradient, key_gradient = torch.empty_like(query), torch.empty_like(key)
        value_gradient = torch.empty_like(value)
        size = weights[0].numel()
        buffer = torch.empty_like(weights[context.pieces[0]])
        for piece in context.pieces:
            scores, dropped = buffer[: piece.stop - piece.start], weights[piece]
            if dropout_mask:
                dropout_mask.multiply(weights[piece], scores, piece.start * size)
                dropped = scores
            torch.bmm(dropped.transpose(1, 2), gradient[piece], out=value_gradient[piece])
            torch.bmm(gradient[piece], value[piece].transpose(1, 2), out=scores)
            if dropout_mask:
                dropout_mask.multiply(scores, scores, piece.start * size)
            score_gradient = torch._softmax_backward_data(scores, weights[piece], -1, weights.dtype)
            for other, own in ((key, query_gradient), (query, key_gradient)):
                torch.baddbmm(own[piece], score_gradient, other[piece], beta=0, alpha=context.scale, out=own[piece])
                score_gradient = score_gradient.transpose(1, 2)
        by_row = (each.unflatten(0, (-1, context.heads)) for each in (query_gradient, key_gradient, value_gradient))
        return *by_row, None, None, None, None


def softmax(scores: torch.Tensor, out: torch.Tensor) -> None:
    """Softmax over the last dimension, into `out`.

    In bf16, torch computes the values that do not fill a vector register of 32 one by one; in fp32 it does not.
    """
    if scores.dtype == torch.bfloat16 and scores.shape[-1] % 32:
        out.copy_(torch.softmax(scores, -1, dtype=torch.float32))
    else:
        torch.softmax(scores, -1, out=out)


def _pieces(rows: int, heads: int, scores: int) -> list[slice]:
    """The heads that are computed at once, each slice all heads of some rows; `scores` are those of one head."""
    size = max(1, PIECE // max(heads * scores, 1)) * heads
    return [slice(start, min(start + size, rows * heads)) for start in range(0, max(rows * heads, 1), size)]


def _mask_of(mask: torch.Tensor, piece: slice, heads: int) -> torch.Tensor:
    """The rows of a mask, (rows or 1, heads or 1, length or 1, length), that belong to a piece."""
    return mask if mask.shape[0] == 1 else mask[piece.start // heads : piece.stop // heads]


def register() -> None:
    """Add `attention` to transformers' implementations. Source: transformers' documentation, "Attention backends"."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, eager_mask)
