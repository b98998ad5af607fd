"""Rows without padding: their real tokens one after the other, in one stream, with attention within each row.

Padding is computed like everything else, though nobody reads it. In a stream, only attention has to know where rows begin and end: on a GPU
torch's fused kernels take that as offsets, on a CPU `ftkit.encoders.training.cpu.places` gathers rows for attention alone. The head reads the first
token of each row, which is gathered behind the last layer.

Sources: Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination"; torch's documentation of `torch.nested`, on
jagged layouts in `scaled_dot_product_attention`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ftkit.encoders.batches import stream_length
from ftkit.encoders.stream import Rows, Stream, new_stream, of_rows, stream_of

if TYPE_CHECKING:
    import torch

NAME = "ftkit-packed"
"""The name of `attention`, for GPUs, among transformers' attention implementations."""

ARCHITECTURES = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")
"""Types of models whose attention is no more than that of all tokens of a row with all, by position ids that can be given.

DeBERTa is known to CPUs alone, see `ftkit.encoders.disentangled_attention`.
"""

TOLERANCE, TOLERANCE_BF16 = 1e-3, 5e-2
"""How far a logit may move, as a share of the largest, in single precision and in bf16."""

_PACKING = "ftkit_packing"
log = logging.getLogger(__name__)


class Packing:
    """Computes the logits of a model for rows without padding."""

    def __init__(self, model: Any, stream: Stream, first_position: int) -> None:
        self._model, self.stream, self._first_position = model, stream, first_position
        self._filled = model.config._attn_implementation != NAME

    def logits(self, call: Callable[..., Any], inputs: Mapping[str, torch.Tensor], device: torch.device) -> Any:
        """What `call`, the model or a wrapper of it, returns for padded inputs on the CPU: its logits are (rows, classes)."""
        import torch

        mask = inputs["attention_mask"]
        lengths = mask.sum(1)
        longest, total = int(lengths.max()), int(lengths.sum())
        filled = total
        if self._filled:
            if total == mask.numel():
                self.stream.rows = None
                return call(**{name: each for name, each in inputs.items() if name != "attention_mask"})
            filled = stream_length(total + 1)
        real = mask.view(-1).nonzero()[:, 0]
        # A stream is filled with its first token, whose embedding is up to date as those of the others are.
        real = torch.cat((real, real[:1].expand(filled - total)))
        named = {name: each.view(-1)[real][None] for name, each in inputs.items() if name != "attention_mask"}
        named["position_ids"] = (mask.cumsum(1) - 1).view(-1)[real][None] + self._first_position
        if hasattr(getattr(self._model.base_model, "embeddings", None), "token_type_embeddings"):
            named.setdefault("token_type_ids", torch.zeros_like(named["input_ids"]))
        offsets = moved(torch.nn.functional.pad(lengths.cumsum(0), (1, 0)), device)
        self.stream.rows = Rows(offsets, int(lengths.min()), longest, filled)
        try:
            return call(**{name: moved(each, device) for name, each in named.items()})
        finally:
            if not torch.is_grad_enabled():
                self.stream.rows = None


def moved(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values on a device; the copy to a GPU runs beside what it computes."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def of(model: Any) -> Packing | None:
    """The packing of a model, which is prepared for it the first time; None where a trial shows that it cannot have one."""
    import torch

    if hasattr(model, _PACKING):
        return known(model)
    packing = None
    if _packable(model):
        packing = _prepared(model)
        try:
            with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
                same = _is_same(model, packing)
        except Exception as error:  # kernels and drivers decide its type
            log.info("rows are padded, as a stream of them failed: %s", error)
            same = False
        packing = packing if same else None
    setattr(model, _PACKING, packing)
    return packing


def known(model: Any) -> Packing | None:
    """The packing that `of` has given to a model."""
    return getattr(model, _PACKING, None)


def _packable(model: Any) -> bool:
    if model.config.model_type == "deberta-v2":
        from ftkit.encoders import disentangled_attention

        return model.device.type == "cpu" and disentangled_attention.knows_streams(model)
    from ftkit.encoders.training.cpu import attention as on_cpu

    knows_streams = model.config._attn_implementation in (NAME, on_cpu.NAME)
    return model.config.model_type in ARCHITECTURES and knows_streams


def _prepared(model: Any) -> Packing:
    stream = new_stream(model)
    layers = getattr(model.base_model, "encoder", None) or model.base_model.transformer
    layers.register_forward_hook(lambda _module, _inputs, output: _first_tokens(output, stream))
    padding = getattr(getattr(model.base_model.embeddings, "position_embeddings", None), "padding_idx", None)
    return Packing(model, stream, 0 if padding is None else padding + 1)


def _first_tokens(output: Any, stream: Stream) -> Any:
    """The output of a stack of layers with the first token of each row alone, (rows, 1, width)."""
    if stream.rows is None:
        return output
    output.last_hidden_state = of_rows(output.last_hidden_state, stream.rows).transpose(0, 1)
    if output.hidden_states is not None:  # of which DeBERTa reads the last
        output.hidden_states = (*output.hidden_states[:-1], output.last_hidden_state)
    return output


def attention(
    module: Any,
    query: torch.Tensor,  # (rows, heads, length, width), of a stream (1, heads, tokens, width)
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The output of attention, (rows, length, heads, width)."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows = stream_of(module)
    if rows is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )

    def by_row(states: torch.Tensor) -> torch.Tensor:
        values = states[0].transpose(0, 1)  # (tokens, heads, width)
        jagged = torch.nested.nested_tensor_from_jagged(
            values, rows.offsets, min_seqlen=rows.shortest, max_seqlen=rows.longest
        )
        return jagged.transpose(1, 2)

    output = torch.nn.functional.scaled_dot_product_attention(
        by_row(query),
        by_row(key),
        by_row(value),
        dropout_p=dropout if module.training else 0.0,
        scale=scaling,
    )
    return output.transpose(1, 2).values()[None], None


def register() -> str:
    """Add `attention` to transformers' implementations; returns its name. Source: transformers' documentation, "Attention backends"."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    def mask(**named: Any) -> Any:
        """No mask where all tokens of a row may be seen: that of a stream would have an entry for each pair of its tokens."""
        return None if named.get("attention_mask") is None else sdpa_mask(**named)

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, mask)
    return NAME


def _is_same(model: Any, packing: Packing) -> bool:
    """Whether three rows of a stream have the logits that they have when they are padded."""
    import torch

    lengths = (9, 2, 5)
    ids = torch.arange(len(lengths) * 9).view(len(lengths), 9) % (model.config.vocab_size - 3) + 3
    mask = (torch.arange(9) < torch.tensor(lengths)[:, None]).long()
    padding = model.config.pad_token_id or 0
    inputs = {"input_ids": torch.where(mask.bool(), ids, padding), "attention_mask": mask}
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            expected = model(**{name: each.to(model.device) for name, each in inputs.items()}).logits.float()
            largest = expected.abs().max().clamp(min=1)
            wanted = [(packing.logits(model, inputs, model.device).logits.float(), TOLERANCE)]
            if model.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
                with torch.autocast("cuda", torch.bfloat16):
                    half = packing.logits(model, inputs, model.device).logits.float()
                wanted.append((half, TOLERANCE_BF16))
            return all(bool((found - expected).abs().max() <= share * largest) for found, share in wanted)
    finally:
        model.train(was_training)
