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
from transformers.models.deberta_v2.modeling_deberta_v2 import (
    DebertaV2Encoder,
    DisentangledSelfAttention,
    make_log_bucket_position,
)

from ftkit.encoders.first_attention import FIRST_POSITION_ONLY, attend
from ftkit.encoders.stream import stream_of
from ftkit.encoders.training.cpu.deberta import PieceWise
from ftkit.encoders.training.cpu.dropout import masks_of
from ftkit.encoders.training.cpu.linear import is_plain, projections
from ftkit.encoders.training.cpu.places import Places, places_of

ROUNDED = 32
"""Distances are padded to a multiple of these: rows of products that begin at odd places are slow."""


def replace(model: Any) -> None:
    """Have the attention layers of a DeBERTa compute in this way; all other models stay as they are."""
    for module in model.modules():
        if type(module) is DisentangledSelfAttention and {"c2p", "p2c"} <= {*module.pos_att_type}:
            module.__class__ = DisentangledAttention
            module.longest = max(module.max_relative_positions, model.config.max_position_embeddings)
            module.buckets(module.longest)  # type: ignore[operator]  # constants to an exporter, which cannot compute them
    encoder = model.base_model.encoder
    known = [isinstance(layer.attention.self, DisentangledAttention) for layer in encoder.layer]
    if type(encoder) is DebertaV2Encoder and all(known):
        encoder.__class__ = DisentangledEncoder


def knows_streams(model: Any) -> bool:
    """Whether the model can compute rows in a stream: all of its attention is of this kind, and nothing else looks at other tokens."""
    encoder = model.base_model.encoder
    return type(encoder) is DisentangledEncoder and encoder.conv is None and model.base_model.z_steps < 2


class DisentangledEncoder(DebertaV2Encoder):
    """transformers' stack of layers, without what it prepares for attention of its own: a mask and a distance for each pair of tokens."""

    def get_attention_mask(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Which tokens are no padding, (rows, 1, 1, length)."""
        if attention_mask.dim() > 2 or attention_mask.device.type != "cpu":
            pairs: torch.Tensor = super().get_attention_mask(attention_mask)
            return pairs
        return attention_mask[:, None, None]

    def get_rel_pos(self, hidden_states: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor | None:
        """Nothing on a CPU, where a layer that needs distances finds them itself."""
        if hidden_states.device.type == "cpu":
            return None
        distances: torch.Tensor | None = super().get_rel_pos(hidden_states, *arguments, **named)
        return distances


class DisentangledAttention(DisentangledSelfAttention):
    """transformers' layer with another way to compute on CPUs. Rows must begin with a token that is no padding."""

    longest: int
    """Tokens of the longest text that an exported network reads."""

    def forward(
        self,
        hidden_states: torch.Tensor,  # (rows, length, width), of a stream (1, tokens, width)
        attention_mask: torch.Tensor,  # (rows, 1, length or 1, length), true or 1 where a token is no padding
        output_attentions: bool = False,
        query_states: torch.Tensor | None = None,
        relative_pos: torch.Tensor | None = None,
        rel_embeddings: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The output of attention, (rows, length, width), of a stream (1, tokens, width); of the first position alone (…, 1, width)."""
        if (
            output_attentions
            or query_states is not None
            or rel_embeddings is None
            or hidden_states.device.type != "cpu"
        ):
            if attention_mask.shape[-2] == 1:  # theirs is of pairs
                attention_mask = attention_mask * attention_mask.transpose(-1, -2)
            return super().forward(
                hidden_states, attention_mask, output_attentions, query_states, relative_pos, rel_embeddings
            )
        rows = stream_of(self)
        places = places_of(rows, self.num_attention_heads, heads_first=True) if rows else None
        if getattr(self, FIRST_POSITION_ONLY, False):
            return self._of_first(hidden_states, attention_mask, rel_embeddings, places), None
        states = projections((self.query_proj, self.key_proj, self.value_proj), hidden_states)
        query, key, value = map(places.by_head if places else self._by_head, states)
        length = query.shape[2]
        # What all distances mean is constant in an exported network, which takes what it needs of them.
        exported = torch.compiler.is_compiling()
        longest = self.longest if exported else length
        of_keys, of_queries = self._positions(rel_embeddings, longest)
        of_keys, of_queries = of_keys[:, longest - length :], of_queries[:, longest - length :]
        single = exported or (self.training and self.dropout.p and masks_of(self) is None)
        mask = None if places and not single else self._mask(attention_mask, query.dtype, places)
        compute = self._in_single_operations if single else self._in_pieces
        output = compute(query, key, value, of_keys, of_queries, mask, places)
        if places:
            return places.joined(output), None
        return output.permute(1, 2, 0, 3).flatten(2), None

    @property
    def _scale(self) -> float:
        return float((3 * self.attention_head_size) ** -0.5)

    def _mask(self, attention_mask: torch.Tensor, dtype: torch.dtype, places: Places | None) -> torch.Tensor | None:
        """What is added to scores, (rows, 1, 1, length)."""
        if places:
            return places.mask(dtype)
        forbidden = ~attention_mask[:, :, :1].bool()
        return torch.zeros(forbidden.shape, dtype=dtype).masked_fill(forbidden, torch.finfo(dtype).min)

    def _by_head(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, length, heads x width) as (heads, rows, length, width)."""
        return states.unflatten(-1, (self.num_attention_heads, -1)).permute(2, 0, 1, 3).contiguous()

    def buckets(self, length: int) -> tuple[int, int, torch.Tensor]:
        """The buckets of the distances in texts of this length, see `_buckets`."""
        return _buckets(length, self.position_buckets, self.max_relative_positions, self.pos_ebd_size)

    def _positions(self, embeddings: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What distances mean to keys and to queries, (heads, distances, width) each.

        Keys' distances fall from length - 1 to 1 - length, from query to key; queries' rise. Both are padded.
        """
        lowest, highest, buckets = self.buckets(length)
        used = self.pos_dropout(embeddings[lowest : highest + 1])
        to_key = self.key_proj if self.share_att_key else self.pos_key_proj
        to_query = self.query_proj if self.share_att_key else self.pos_query_proj
        keys, queries = projections((to_key, to_query), used)
        return self._laid_out(keys, buckets.flip(0)), self._laid_out(queries, buckets)

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
        mask: torch.Tensor | None,
        places: Places | None,
    ) -> torch.Tensor:
        masks, probability = masks_of(self), self.dropout.p if self.training else 0.0
        scores = query[..., 0].numel() * query.shape[2]
        dropout_mask = masks.mask(scores, probability, query.dtype) if masks is not None and probability else None
        output: torch.Tensor = PieceWise.apply(
            query, key, value, of_keys, of_queries, mask, places, self._scale, dropout_mask
        )
        return output

    def _in_single_operations(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        of_keys: torch.Tensor,
        of_queries: torch.Tensor,
        mask: torch.Tensor | None,
        _: Places | None,
    ) -> torch.Tensor:
        length = query.shape[2]
        query, of_queries = query * self._scale, of_queries * self._scale
        of_keys, of_queries = of_keys[:, None, : 2 * length], of_queries[:, None, : 2 * length]
        scores = query @ key.transpose(2, 3) + _shifted(query @ of_keys.transpose(2, 3), length)
        scores = scores + _shifted(key @ of_queries.transpose(2, 3), length).transpose(2, 3)
        return self._weighted(scores, mask, value)

    def _of_first(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor,
        embeddings: torch.Tensor,
        places: Places | None,
    ) -> torch.Tensor:
        """The output of attention for the first position, (rows, 1, width), of a stream (1, rows, width)."""
        tokens = places.tokens(hidden_states) if places else hidden_states
        mask = self._mask(attention_mask, tokens.dtype, places)
        length = tokens.shape[1]
        exported = torch.compiler.is_compiling()
        longest = self.longest if exported else length
        of_keys, of_queries = self._positions(embeddings, longest)
        of_keys = of_keys[:, longest - 1 : longest - 1 + length]  # its distances are 0, -1, …
        of_queries = of_queries[:, longest - length : longest].flip(1) * self._scale
        query = self._by_head(self.query_proj(tokens[:, :1]) * self._scale)  # (heads, rows, 1, width)
        if exported or not all(is_plain(each) for each in (self.key_proj, self.value_proj)):
            key, value = self._by_head(self.key_proj(tokens)), self._by_head(self.value_proj(tokens))
            scores = query @ key.transpose(2, 3) + query @ of_keys[:, None].transpose(2, 3)
            scores = scores + (key * of_queries[:, None]).sum(-1).unsqueeze(2)
            output = self._weighted(scores, mask, value).permute(1, 2, 0, 3).flatten(2)
            if not exported:
                return output.transpose(0, 1) if places else output
            return output.expand(-1, length, -1)
        query = query[:, :, 0]  # (heads, rows, width)
        weight, bias = (each.unflatten(0, (self.num_attention_heads, -1)) for each in self.key_proj.parameters())
        added = torch.bmm(query, of_keys.transpose(1, 2) + bias[:, :, None])  # (heads, rows, length)
        # Keys ask as well: what distances mean to them is multiplied with their weights, once for all rows.
        asked = torch.bmm(of_queries, weight)  # (heads, length, width)
        of_tokens = torch.bmm(tokens.transpose(0, 1), asked.permute(1, 2, 0)).permute(2, 1, 0)  # (heads, rows, length)
        added = added + of_tokens + torch.bmm(of_queries, bias[:, :, None]).transpose(1, 2)
        output = attend(
            self,
            query.transpose(0, 1),
            tokens,
            None if mask is None else mask[:, 0],
            self.key_proj.weight,
            self.value_proj,
            added.transpose(0, 1),
        )
        return output[None] if places else output[:, None]

    def _weighted(self, scores: torch.Tensor, mask: torch.Tensor | None, value: torch.Tensor) -> torch.Tensor:
        masked = scores if mask is None else scores + mask.transpose(0, 1)
        weights: torch.Tensor = self.dropout(torch.softmax(masked, -1))
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
