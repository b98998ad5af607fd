"""DeBERTa's attention for training on a CPU, in pieces that stay in its cache; `ftkit.encoders.disentangled_attention` says what is computed."""

from __future__ import annotations

from typing import Any

import torch

from ftkit.encoders.training.cpu.attention import softmax
from ftkit.encoders.training.cpu.dropout import DropoutMask
from ftkit.encoders.training.cpu.places import Places

PIECE = 1_000_000
"""Scores computed at once: with the wider products of positions, some 6 MB in bf16."""


class PieceWise(torch.autograd.Function):
    """DeBERTa's attention of (heads, rows, length, width); gradients for query, key, value and positions."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,  # (heads, distances, width)
        of_queries: torch.Tensor,
        mask: torch.Tensor | None,  # (rows, 1, 1, length), added to the scores
        places: Places | None,  # which know what is padding
        scale: float,
        dropout_mask: DropoutMask | None,
    ) -> torch.Tensor:
        heads, rows, length, width = query.shape
        pieces = _pieces(heads, rows, length)
        largest = max(len(piece) for piece in pieces)
        weights = query.new_empty(heads * rows, length, length)
        output = query.new_empty(heads * rows, length, width)
        scores, turned = query.new_empty(2, largest, length, length)
        products = query.new_empty(largest * length, of_keys.shape[1])
        flat_query, flat_key, flat_value = (each.flatten(0, 1) for each in (query, key, value))
        for piece in pieces:
            here, count = slice(piece.start, piece.stop), len(piece)
            own = slice(piece.start // rows, (piece.stop - 1) // rows + 1)  # its heads
            by_distance = products[: count * length].view(own.stop - own.start, -1, of_keys.shape[1])
            shifted = _view(by_distance.view(count, length, -1), length)
            own_scores = scores[:count]
            torch.bmm(_joined(flat_query[here], own), of_keys[own].transpose(1, 2), out=by_distance)
            own_scores.copy_(shifted)
            torch.bmm(_joined(flat_key[here], own), of_queries[own].transpose(1, 2), out=by_distance)
            own_turned = turned[:count].copy_(shifted.transpose(1, 2))  # to add it as it is takes four times as long
            own_scores.add_(own_turned)
            own_scores.baddbmm_(flat_query[here], flat_key[here].transpose(1, 2), beta=scale, alpha=scale)
            by_row = own_scores.view(own.stop - own.start, -1, length, length)
            if mask is not None:
                by_row.add_(_mask_of(mask, piece, rows))
            if places:
                places.forbid(by_row.transpose(0, 1), piece.start % rows)
            softmax(own_scores, weights[here])
            dropped = weights[here]
            if dropout_mask:
                dropout_mask.multiply(dropped, own_scores, piece.start * length * length)
                dropped = own_scores
            torch.bmm(dropped, flat_value[here], out=output[here])
        context.save_for_backward(query, key, value, of_keys, of_queries, weights)
        context.dropout_mask, context.pieces, context.scale = dropout_mask, pieces, scale
        return output.view(heads, rows, length, width)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, of_keys, of_queries, weights = context.saved_tensors
        dropout_mask: DropoutMask | None = context.dropout_mask
        _, rows, length, _ = query.shape
        gradient = gradients[0].contiguous().flatten(0, 1)
        flat_query, flat_key, flat_value = (each.flatten(0, 1) for each in (query, key, value))
        results = [torch.empty_like(each) for each in (flat_query, flat_key, flat_value)]
        query_gradient, key_gradient, value_gradient = results
        keys_gradient = torch.zeros(of_keys.shape)  # in fp32: pieces are added up
        queries_gradient = torch.zeros(of_queries.shape)
        largest = max(len(piece) for piece in context.pieces)
        buffer, turned = weights.new_empty(2, largest, length, length)
        products = weights.new_zeros(largest * length, of_keys.shape[1])  # every piece writes the same places
        for piece in context.pieces:
            here, count = slice(piece.start, piece.stop), len(piece)
            own = slice(piece.start // rows, (piece.stop - 1) // rows + 1)
            by_distance = products[: count * length].view(own.stop - own.start, -1, of_keys.shape[1])
            shifted = _view(by_distance.view(count, length, -1), length)
            scores, dropped = buffer[:count], weights[here]
            if dropout_mask:
                dropout_mask.multiply(dropped, scores, piece.start * length * length)
                dropped = scores
            torch.bmm(dropped.transpose(1, 2), gradient[here], out=value_gradient[here])
            torch.bmm(gradient[here], flat_value[here].transpose(1, 2), out=scores)
            if dropout_mask:
                dropout_mask.multiply(scores, scores, piece.start * length * length)
            of_scores = torch._softmax_backward_data(scores, weights[here], -1, weights.dtype)
            of_turned = turned[:count].copy_(of_scores.transpose(1, 2))
            for own_scores, mine, other, its, positions, summed in (
                (of_scores, flat_query, flat_key, query_gradient, of_keys, keys_gradient),
                (of_turned, flat_key, flat_query, key_gradient, of_queries, queries_gradient),
            ):
                torch.baddbmm(its[here], own_scores, other[here], beta=0, alpha=context.scale, out=its[here])
                shifted.copy_(own_scores)
                _joined(its[here], own).baddbmm_(by_distance, positions[own], alpha=context.scale)
                summed[own] += torch.bmm(by_distance.transpose(1, 2), _joined(mine[here], own))
        by_row = (each.view(query.shape) for each in results)
        of_positions = ((each * context.scale).to(of_keys.dtype) for each in (keys_gradient, queries_gradient))
        return *by_row, *of_positions, None, None, None, None


def _view(products: torch.Tensor, length: int) -> torch.Tensor:
    """The same of contiguous products, (heads, length, distances or more), as a view."""
    width = products.shape[-1]
    strides = (length * width, width - 1, 1)
    return products.as_strided((len(products), length, length), strides, products.storage_offset() + length - 1)


def _joined(states: torch.Tensor, heads: slice) -> torch.Tensor:
    """(heads x rows, length, width) of some heads, as (heads, rows x length, width)."""
    return states.view(heads.stop - heads.start, -1, states.shape[-1])


def _mask_of(mask: torch.Tensor, piece: range, rows: int) -> torch.Tensor:
    """The mask of a piece, (1, its rows, 1, length)."""
    start = piece.start % rows
    return mask[start : start + min(len(piece), rows)].transpose(0, 1)


def _pieces(heads: int, rows: int, length: int) -> list[range]:
    """What is computed at once, of heads x rows: whole heads, or some rows of one."""
    fit = max(1, PIECE // length**2)
    if fit >= rows:
        step = fit // rows * rows
        return [range(start, min(start + step, heads * rows)) for start in range(0, heads * rows, step)]
    return [
        range(head * rows + start, head * rows + min(start + fit, rows))
        for head in range(heads)
        for start in range(0, rows, fit)
    ]
