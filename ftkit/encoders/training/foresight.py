"""What an encoder's options ask of its checkpoint and of the data, checked before any training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftkit.encoders import adaptation, layers
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.training import losses, tuning
from ftkit.errors import DataError

if TYPE_CHECKING:
    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig


def check(encoder: EncoderConfig, data: Data) -> None:
    """Raises: PluginError, CheckpointError, DataError."""
    if isinstance(encoder.class_weights, Mapping):
        losses.check_names(encoder.class_weights, data)
    if encoder.teacher:
        from ftkit.encoders.training import distillation

        distillation.check(encoder, data)
    if encoder.tuning == "lora":
        tuning.require_package()
    if encoder.long_texts != "head" and len(data.fields) > 1:
        raise DataError(
            f'long_texts = "{encoder.long_texts}" is for single texts, and these rows are pairs: {" and ".join(data.fields)}',
            where="backbone.long_texts",
            hint="Leave long_texts out: of a pair that is too long, the longer side is cut.",
        )
    if encoder.long_texts == "windows":
        _check_windows(encoder, data)
    if (
        encoder.layers is not None
        or encoder.tuning == "lora"
        or encoder.layer_decay < 1
        or encoder.gradient_checkpointing
    ):
        _check_model(encoder)


def _check_windows(encoder: EncoderConfig, data: Data) -> None:
    """Raises: DataError where windows leave out tokens, or read no more than the beginning does; CheckpointError."""
    tokenizer, tokens = adaptation.texts_read(encoder, data)
    length = adaptation.auto_length(tokenizer, tokens) if encoder.max_length == "auto" else encoder.max_length
    length = min(length, tokenizer.limit)
    capacity, longest = tokenizer.capacity(length), int(tokens.max(initial=0))
    if encoder.stride is not None and encoder.stride > capacity:
        raise DataError(
            f"stride = {encoder.stride:,} leaves out tokens: a window of max_length = {length:,} has {capacity:,} of a text",
            where="backbone.stride",
            hint=f"Set stride to {capacity:,} or less.",
        )
    if longest <= capacity:
        raise DataError(
            f'long_texts = "windows" reads no more than "head": max_length = {length:,} reads all of {len(tokens):,} texts, '
            f"of which the longest has {longest:,} tokens",
            where="backbone.long_texts",
            hint="Leave long_texts out, or set a smaller max_length.",
        )


def _check_model(encoder: EncoderConfig) -> None:
    """Raises: CheckpointError for a model that cannot be trained as the options ask for."""
    import torch
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(open_checkpoint(encoder).config)
    with torch.device("meta"):  # a model without memory for its weights
        model = AutoModelForSequenceClassification.from_config(config)
    if encoder.layers is not None:
        layers.keep(model, encoder.layers)
    if encoder.layer_decay < 1:
        layers.stack(model)
    if encoder.tuning == "lora":
        tuning.adapted_modules(model, encoder)
    if encoder.gradient_checkpointing:
        tuning.checkpoint_layers(model, None)
