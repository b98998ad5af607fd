"""DeBERTa's attention on CPUs: the same scores as transformers', without their tables of positions and without gathering from them.

A score is the sum of three products: of query and key, of the query and what the distance between both positions means to keys, and of the
key and what it means to queries. transformers multiplies every token with all 512 buckets of distances, however short the text, and then gathers
for every pair the one bucket of its distance. Here, each bucket that occurs is projected once, and laid out by distance, so that the row of token
`i`, read from its own place on, is its scores with all positions: a view, shifted by one in each row. Pieces stay in the processor's
cache, and the backward pass is written out.

Sources: He et al. 2021, "DeBERTa: Decoding-enhanced BERT with Disentangled Attention", section 3.1; the shifted view is that of Dai et al. 2019,
"Transformer-XL", appendix B.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention, make_log_bucket_position

from ftkit.encoders.first_position import FIRST_POSITION_ONLY
from ftkit.encoders.training.cpu.attention import softmax
from ftkit.encoders.training.cpu.dropout import DropoutMask, masks_of

PIECE = 1_000_000
"""Scores computed at once: with the wider products of positions, some 6 MB in bf16."""

ROUNDED = 32
"""Distances are padded to a multiple of these: rows of products that begin at odd places are slow."""


def replace(model: Any) -> None:
    """Have the attention layers of a DeBERTa compute in this way; all other models stay as they are."""
    for module in model.modules():
        if type(module) is DisentangledSelfAttention and {"c2p", "p2c"} <= {*module.pos_att_type}:
            module.__class__ = DisentangledAttention
            module.longest = max(module.max_relative_positions, model.config.max_position_embeddings)
            module.buckets(module.longest)  # type: ignore[operator]  # constants to an exporter, which cannot compute them


class DisentangledAttention(DisentangledSelfAttention):
    """transformers' layer with another way to compute on CPUs. Rows must begin with a token that is no padding."""

    longest: int
    """Tokens of the longest text that an exported network reads."""

    def forward(
        self,
        hidden_states: torch.Tensor,  # (rows, length, width)
        attention_mask: torch.Tensor,  # (rows, 1, length or 1, length), true or 1 where a token is no padding
        output_attentions: bool = False,
        query_states: torch.Tensor | None = None,
        relative_pos: torch.Tensor | None = None,
        rel_embeddings: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The output of attention, (rows, length, width)."""
        if (
            output_attentions
            or query_states is not None
            or rel_embeddings is None
            or hidden_states.device.type != "cpu"
        ):
            return super().forward(
                hidden_states, attention_mask, output_attentions, query_states, relative_pos, rel_embeddings
            )
        rows, length, _ = hidden_states.shape
        first = getattr(self, FIRST_POSITION_ONLY, False)
        scale = (3 * self.attention_head_size) ** -0.5
        query = self._by_head(self.query_proj(hidden_states[:, :1] if first else hidden_states) * scale)
        key, value = self._by_head(self.key_proj(hidden_states)), self._by_head(self.value_proj(hidden_states))
        forbidden = ~attention_mask[:, :, :1].bool()
        mask = torch.zeros(forbidden.shape, dtype=query.dtype).masked_fill(forbidden, torch.finfo(query.dtype).min)
        # What all distances mean is constant in an exported network, which takes what it needs of them.
        exported = torch.compiler.is_compiling()
        longest = self.longest if exported else length
        of_keys, of_queries = self._positions(rel_embeddings, longest, scale)
        if first:  # whose distances are 0, -1, …
            of_keys = of_keys[:, longest - 1 : longest - 1 + length]
            of_queries = of_queries[:, longest - length : longest].flip(1)
            output = self._from_first(query, key, value, of_keys, of_queries, mask)
        else:
            of_keys, of_queries = of_keys[:, longest - length :], of_queries[:, longest - length :]
            single = exported or (self.training and self.dropout.p and masks_of(self) is None)
            compute = self._in_single_operations if single else self._in_pieces
            output = compute(query, key, value, of_keys, of_queries, mask)
        output = output.permute(1, 2, 0, 3).reshape(rows, -1, self.all_head_size)
        return (output if output.shape[1] == length else output.expand(-1, length, -1)), None

    def _by_head(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, length, heads x width) as (heads, rows, length, width)."""
        return states.unflatten(-1, (self.num_attention_heads, -1)).permute(2, 0, 1, 3).contiguous()

    def buckets(self, length: int) -> tuple[int, int, torch.Tensor]:
        """The buckets of the distances in texts of this length, see `_buckets`."""
        return _buckets(length, self.position_buckets, self.max_relative_positions, self.pos_ebd_size)

    def _positions(self, embeddings: torch.Tensor, length: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """What distances mean to keys and to queries, (heads, distances, width) each.

        Keys' distances fall from length - 1 to 1 - length, from query to key; queries' rise. Both are padded.
        """
        lowest, highest, buckets = self.buckets(length)
        used = self.pos_dropout(embeddings[lowest : highest + 1])
        to_key = self.key_proj if self.share_att_key else self.pos_key_proj
        to_query = self.query_proj if self.share_att_key else self.pos_query_proj
        return self._laid_out(to_key(used), buckets.flip(0)), self._laid_out(to_query(used) * scale, buckets)

    def _laid_out(self, projected: torch.Tensor, buckets: torch.Tensor) -> torch.Tensor:
        by_distance = projected.index_select(0, buckets).unflatten(-1, (self.num_attention_heads, -1)).transpose(0, 1)
        return nn.functional.pad(by_distance, (0, 0, 0, -len(buckets) % ROUNDED))

    def _in_pieces(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,
        of_queries: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        masks, probability = masks_of(self), self.dropout.p if self.training else 0.0
        scores = query[..., 0].numel() * query.shape[2]
        dropout_mask = masks.mask(scores, probability, query.dtype) if masks is not None and probability else None
        output: torch.Tensor = _Attention.apply(query, key, value, of_keys, of_queries, mask, dropout_mask)
        return output

    def _in_single_operations(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,
        of_queries: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        length = query.shape[2]
        of_keys, of_queries = of_keys[:, None, : 2 * length], of_queries[:, None, : 2 * length]
        scores = query @ key.transpose(2, 3) + _shifted(query @ of_keys.transpose(2, 3), length)
        scores = scores + _shifted(key @ of_queries.transpose(2, 3), length).transpose(2, 3)
        return self._weighted(scores, mask, value)

    def _from_first(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,
        of_queries: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        scores = query @ key.transpose(2, 3) + query @ of_keys[:, None].transpose(2, 3)
        return self._weighted(scores + (key * of_queries[:, None]).sum(-1).unsqueeze(2), mask, value)

    def _weighted(self, scores: torch.Tensor, mask: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = self.dropout(torch.softmax(scores + mask.transpose(0, 1), -1))
        return weights @ value


@functools.lru_cache(maxsize=64)
def _buckets(length: int, buckets: int, longest: int, span: int) -> tuple[int, int, torch.Tensor]:
    """The lowest and the highest bucket of distances that occur, and the bucket of each of 1 - length … length - 1, from the lowest."""
    with torch.inference_mode(False):  # what an evaluation finds first, a training uses later
        distances = torch.arange(1 - length, length)
        if buckets > 0:
            distances = make_log_bucket_position(distances, buckets, longest).long()
        of_each = (distances + span).clamp(0, 2 * span - 1)
        lowest, highest = int(of_each.min()), int(of_each.max())
        return lowest, highest, of_each - lowest


def _shifted(products: torch.Tensor, length: int) -> torch.Tensor:
    """Of products by distance, (…, length, 2 length), those of each position with all: in row `i` from length - 1 - i on."""
    return products.flatten(-2)[..., length - 1 : -1].unflatten(-1, (length, 2 * length - 1))[..., :length]


def _view(products: torch.Tensor, length: int) -> torch.Tensor:
    """The same of contiguous products, (heads, length, distances or more), as a view."""
    width = products.shape[-1]
    strides = (length * width, width - 1, 1)
    return products.as_strided((len(products), length, length), strides, products.storage_offset() + length - 1)


class _Attention(torch.autograd.Function):
    """Attention of (heads, rows, length, width); gradients for all but the masks."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,  # (heads, distances, width)
        of_queries: torch.Tensor,
        mask: torch.Tensor,  # (rows, 1, 1, length), added to the scores
        dropout_mask: DropoutMask | None,
    ) -> torch.Tensor:
        heads, rows, length, width = query.shape
        pieces = _pieces(heads, rows, length)
        largest = max(len(piece) for piece in pieces)
        weights = query.new_empty(heads * rows, length, length)
        output = query.new_empty(heads * rows, length, width)
        scores = query.new_empty(largest, length, length)
        products = query.new_empty(largest * length, of_keys.shape[1])
        flat_query, flat_key, flat_value = (each.flatten(0, 1) for each in (query, key, value))
        for piece in pieces:
            here, count = slice(piece.start, piece.stop), len(piece)
            own = slice(piece.start // rows, (piece.stop - 1) // rows + 1)  # its heads
            by_distance = products[: count * length].view(own.stop - own.start, -1, of_keys.shape[1])
            shifted = _view(by_distance.view(count, length, -1), length)
            own_scores = scores[:count]
            torch.bmm(flat_query[here], flat_key[here].transpose(1, 2), out=own_scores)
            torch.bmm(_joined(flat_query[here], own), of_keys[own].transpose(1, 2), out=by_distance)
            own_scores.add_(shifted)
            torch.bmm(_joined(flat_key[here], own), of_queries[own].transpose(1, 2), out=by_distance)
            own_scores.add_(shifted.transpose(1, 2))
            own_scores.view(own.stop - own.start, -1, length, length).add_(_mask_of(mask, piece, rows))
            softmax(own_scores, weights[here])
            dropped = weights[here]
            if dropout_mask:
                dropout_mask.multiply(dropped, own_scores, piece.start * length * length)
                dropped = own_scores
            torch.bmm(dropped, flat_value[here], out=output[here])
        context.save_for_backward(query, key, value, of_keys, of_queries, weights)
        context.dropout_mask, context.pieces = dropout_mask, pieces
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
        buffer = weights.new_empty(largest, length, length)
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
            for mine, other, its, positions, summed in (
                (flat_query, flat_key, query_gradient, of_keys, keys_gradient),
                (flat_key, flat_query, key_gradient, of_queries, queries_gradient),
            ):
                torch.bmm(of_scores, other[here], out=its[here])
                shifted.copy_(of_scores)
                _joined(its[here], own).baddbmm_(by_distance, positions[own])
                summed[own] += torch.bmm(by_distance.transpose(1, 2), _joined(mine[here], own))
                of_scores = of_scores.transpose(1, 2)
        by_row = (each.view(query.shape) for each in results)
        return *by_row, keys_gradient.to(of_keys.dtype), queries_gradient.to(of_queries.dtype), None, None


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
