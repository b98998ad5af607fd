"""Spares the last layer what nobody reads: a classifier's head looks at the first position alone.

What a position becomes in the last layer depends on the others only through its attention, so that everything after that can be
left out for all positions but the first. Nothing about an answer changes; with six layers an eighth of the arithmetic goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MARK = "ftkit_reads_first_position"
"""Attribute of an attention module whose queries beyond the first position are of no use."""

TOLERANCE = 1e-4
"""How far a logit may move: rounding moves it less, since sums may be taken in another order."""


def spare_the_rest(model: Any) -> bool:
    """Have the last layer compute the first position alone, where a trial shows that answers stay what they are.

    Known are the architectures whose layers are built as BERT's: `encoder.layer[-1].attention` with `self` and `output`. Others stay
    as they were, and so do models whose head reads more, or another position. Returns whether it was done.
    """
    attention = _last_attention(model.base_model)
    if attention is None:
        return False
    try:
        before = _logits(model)
        hook = attention.output.register_forward_pre_hook(_first_of_both)
        setattr(attention.self, MARK, True)
        try:
            same = bool((_logits(model) - before).abs().max() <= TOLERANCE * before.abs().max().clamp(min=1))
        except Exception:  # whatever an architecture makes of fewer positions
            same = False
    except Exception:  # a model that does not even answer a trial is for others to complain about
        return False
    if not same:
        hook.remove()
        delattr(attention.self, MARK)
    return same


def _last_attention(encoder: Any) -> Any | None:
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    attention = getattr(layers[-1], "attention", None) if layers is not None and len(layers) else None
    known = attention is not None and hasattr(attention, "self") and hasattr(attention, "output")
    return attention if known else None


def _first_of_both(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What attention found, and what it is added to: (rows, length, width) to (rows, 1, width)."""
    return tuple(each[:, :1] for each in inputs)


def _logits(model: Any) -> torch.Tensor:
    """Of two rows of different tokens, the second half padding, without chance."""
    import torch

    was = model.training
    model.eval()
    try:
        ids = torch.arange(20, device=model.device).view(2, 10) % model.config.vocab_size
        mask = torch.ones_like(ids)
        mask[1, 5:] = 0
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).logits.float()
    finally:
        model.train(was)
