"""Leaves out what nobody reads in the last layer: a classification head reads the first position alone.

In the last layer the other positions act on the first through its attention only, so everything after that attention
can be left out for them. The logits stay the same; a model of six layers has an eighth less to compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.encoders.stream import of_rows, stream_of

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-4
"""How far a logit may move: rounding moves it less, since sums may be taken in another order."""


def skip_other_positions(model: Any) -> bool:
    """Have the last layer compute the first position alone, if a trial shows that the logits stay the same.

    This works for layers built as BERT's: `encoder.layer[-1].attention` with `self` and `output`. Other architectures
    stay as they are, and so do models whose head reads more than the first position. Returns whether the model was
    changed.
    """
    from ftkit.encoders import first_attention
    from ftkit.encoders.first_attention import FIRST_POSITION_ONLY

    attention = _last_attention(model.base_model)
    if attention is None:
        return False
    try:
        before = _logits(model)
        hook = attention.output.register_forward_pre_hook(_first_of_each)
        setattr(attention.self, FIRST_POSITION_ONLY, True)
        replaced = first_attention.replace(attention.self)
        try:
            same = bool((_logits(model) - before).abs().max() <= TOLERANCE * before.abs().max().clamp(min=1))
        except Exception:  # some architectures cannot continue with fewer positions
            same = False
    except Exception:  # a model that fails the trial even unchanged: the caller's first use of it raises the error
        return False
    if not same:
        hook.remove()
        delattr(attention.self, FIRST_POSITION_ONLY)
        if replaced:
            first_attention.restore(attention.self)
    return same


def _last_attention(encoder: Any) -> Any | None:
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    attention = getattr(layers[-1], "attention", None) if layers is not None and len(layers) else None
    known = attention is not None and hasattr(attention, "self") and hasattr(attention, "output")
    return attention if known else None


def _first_of_each(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The output of attention and its residual, (rows, length, width), cut to (rows, 1, width); of a stream, (1, rows, width)."""
    rows = stream_of(module)
    return tuple(hidden[:, :1] if rows is None else of_rows(hidden, rows) for hidden in inputs)


def _logits(model: Any) -> torch.Tensor:
    """Logits, without dropout, of two rows of different tokens; half of the second is padding."""
    import torch

    was_training = model.training
    model.eval()
    try:
        ids = torch.arange(20, device=model.device).view(2, 10) % model.config.vocab_size
        mask = torch.ones_like(ids)
        mask[1, 5:] = 0
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).logits.float()
    finally:
        model.train(was_training)
