"""The attention of each row's first position, without keys and values of the others.

A score is the product of a query and a key, and the key a product of the key's weights and a token. So the query can be multiplied with the weights
instead, once for each head, and then with the tokens themselves; values can be multiplied with their weights after they have been added up.
Where one position asks, that is a vector of the layer's width for each head, in place of two for each token.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn

from ftkit.encoders.stream import Rows, stream_of
from ftkit.encoders.training.cpu.dropout import masks_of
from ftkit.encoders.training.cpu.linear import is_plain
from ftkit.encoders.training.cpu.places import places_of

FIRST_POSITION_ONLY = "ftkit_reads_first_position"
"""Attribute that is true for an attention module of which only the first position is read."""


def replace(layer: Any) -> bool:
    """Have an attention layer built as BERT's compute its first position in this way, on a CPU; returns whether it is one."""
    if not all(hasattr(layer, name) for name in ("query", "key", "value", "num_attention_heads", "scaling", "dropout")):
        return False
    layer.forward = MethodType(_forward, layer)
    return True


def restore(layer: Any) -> None:
    """Take back `replace`."""
    del layer.forward


def _forward(
    self: Any,
    hidden_states: torch.Tensor,  # (rows, length, width), of a stream (1, tokens, width)
    attention_mask: torch.Tensor | None = None,
    past_key_values: Any = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The output of attention, (rows, 1, width), of a stream (1, rows, width); elsewhere than on a CPU that of the layer's own class."""
    if (
        past_key_values is not None
        or options.get("output_attentions")
        or hidden_states.device.type != "cpu"
        or torch.compiler.is_compiling()
        or not all(is_plain(each) for each in (self.query, self.key, self.value))
    ):
        usual: tuple[torch.Tensor, None] = type(self).forward(
            self, hidden_states, attention_mask=attention_mask, past_key_values=past_key_values, **options
        )
        return usual
    rows = stream_of(self)
    tokens, mask = _tokens_and_mask(hidden_states, attention_mask, rows, self.num_attention_heads)
    query = self.query(tokens[:, 0]).unflatten(-1, (self.num_attention_heads, -1)) * self.scaling
    of_bias = (query * self.key.bias.unflatten(0, (self.num_attention_heads, -1))).sum(-1, keepdim=True)
    output = attend(self, query, tokens, mask, self.key.weight, self.value, of_bias)
    return (output[None] if rows else output[:, None]), None


def _tokens_and_mask(
    hidden: torch.Tensor, mask: torch.Tensor | None, rows: Rows | None, heads: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The tokens of rows, (rows, length, width), and what is added to the scores of the first, (rows or 1, 1, length)."""
    if rows:
        places = places_of(rows, heads)
        added = places.mask(hidden.dtype)
        return places.tokens(hidden), None if added is None else added[:, 0]
    if mask is None:
        return hidden, None
    mask = mask[:, 0, :1, : hidden.shape[1]]
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=hidden.dtype).masked_fill_(~mask, torch.finfo(hidden.dtype).min)
    return hidden, mask


def attend(
    layer: Any,
    query: torch.Tensor,  # (rows, heads, width of a head), scaled
    tokens: torch.Tensor,  # (rows, length, width)
    mask: torch.Tensor | None,
    key_weight: torch.Tensor,  # (heads x width of a head, width)
    value: nn.Linear,
    added: torch.Tensor,  # to the scores, (rows, heads, length or 1)
) -> torch.Tensor:
    """The output of attention, (rows, heads x width of a head)."""
    heads = query.shape[1]
    by_head = key_weight.unflatten(0, (heads, -1))  # (heads, width of a head, width)
    asked = torch.bmm(query.transpose(0, 1), by_head).transpose(0, 1)  # (rows, heads, width)
    scores = torch.bmm(asked, tokens.transpose(1, 2)) + added  # (rows, heads, length)
    if mask is not None:
        scores = scores + mask
    weights = torch.softmax(scores, -1)
    probability = layer.dropout.p if layer.training else 0.0
    if probability:
        masks = masks_of(layer)
        weights = masks.drop(weights, probability) if masks else nn.functional.dropout(weights, probability)
    summed = torch.bmm(weights, tokens)  # (rows, heads, width)
    values = torch.bmm(summed.transpose(0, 1), value.weight.unflatten(0, (heads, -1)).transpose(1, 2))
    output = values.transpose(0, 1)  # (rows, heads, width of a head)
    # After dropout, weights need not sum to 1.
    output = output + weights.sum(-1, keepdim=True) * value.bias.unflatten(0, (heads, -1))
    return output.flatten(1)
