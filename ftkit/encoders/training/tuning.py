"""What of a model is trained: all of it, low-rank matrices beside its attention, or its head alone."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.bundled_plugins import how_to_install
from ftkit.encoders import layers, packing
from ftkit.errors import CheckpointError, PluginError

if TYPE_CHECKING:
    import torch

    from ftkit.encoders.config import EncoderConfig
    from ftkit.encoders.training.cpu.dropout import DropoutMasks

_ADAPTER = "default"


def prepared(model: Any, encoder: EncoderConfig) -> Any:
    """The model as it is trained: with fewer layers, with low-rank matrices, and with the rest frozen, as the options ask for.

    Raises: CheckpointError; PluginError where PEFT is missing.
    """
    if encoder.layers is not None:
        layers.keep(model, encoder.layers)
    if encoder.tuning == "lora":
        _adapters(model, encoder)
    if encoder.tuning != "full":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".lora_" in name or in_head(model, name))
    return model


def train_mode(model: Any, encoder: EncoderConfig) -> None:
    """Let a model train; an encoder without trained weights computes as it serves, without dropout."""
    model.train()
    if encoder.tuning == "head":
        model.base_model.eval()
        for name, module in model.base_model.named_modules():
            if in_head(model, f"{model.base_model_prefix}.{name}.") and module is not model.base_model:
                module.train()


def finished(model: Any, encoder: EncoderConfig, weights: Mapping[str, torch.Tensor]) -> Any:
    """A prepared model with these trained weights in it, as a model without further matrices."""
    if encoder.tuning == "full":
        model.load_state_dict(weights)
        return model
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if trained != weights.keys():
        raise ValueError(f"weights of other parameters than are trained: {sorted(trained ^ weights.keys())[:3]}")
    model.load_state_dict(weights, strict=False)
    if encoder.tuning == "lora":
        _merge(model)
    return model


def in_head(model: Any, name: str) -> bool:
    """Whether a parameter belongs to the head: to what is not the encoder, or to its pooler, which only the head reads."""
    return not name.startswith(f"{model.base_model_prefix}.") or ".pooler." in name


def checkpoint_layers(model: Any, masks: DropoutMasks | None) -> None:
    """Have the layers computed again in the backward pass, with the same dropout. Raises: CheckpointError.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
    """
    further: dict[str, Any] = {}
    if masks:
        further["context_fn"] = masks.contexts  # torch repeats its own random numbers, not these
    if packing.known(model):
        further["determinism_check"] = "none"  # which cannot look at rows of different lengths
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # transformers 5.23 has another name for it
            model.gradient_checkpointing_enable({"use_reentrant": False, **further})
    except ValueError as error:
        raise CheckpointError(
            f"a model of type {model.config.model_type!r} cannot compute its layers again",
            where="backbone.gradient_checkpointing",
            hint="Set gradient_checkpointing = false; accumulation saves memory too.",
        ) from error


def adapted_modules(model: Any, encoder: EncoderConfig) -> list[str]:
    """The names of the linear layers that get low-rank matrices. Raises: CheckpointError where there are none."""
    from torch import nn

    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not in_head(model, f"{name}.")
    ]
    if encoder.lora_modules:
        ends = tuple(f".{each}" for each in encoder.lora_modules)
        chosen = [name for name in linear if f".{name}".endswith(ends)]
    else:
        chosen = [name for name in linear if "att" in name]
    if not chosen:
        asked = f"named {', '.join(encoder.lora_modules)}" if encoder.lora_modules else "in its attention"
        names = sorted({name.rpartition(".")[2] for name in linear})
        raise CheckpointError(
            f"a model of type {model.config.model_type!r} has no linear layers {asked}",
            where="backbone.lora_modules",
            hint=f"Its linear layers are named {', '.join(names)}." if names else 'It has none: set tuning = "full".',
        )
    return chosen


def require_package() -> None:
    """Raises: PluginError where PEFT is missing."""
    if importlib.util.find_spec("peft") is None:
        raise PluginError('tuning = "lora" needs the package peft', hint=how_to_install("ftkit[lora]"))


def _adapters(model: Any, encoder: EncoderConfig) -> None:
    """Put low-rank matrices beside linear layers.

    Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.
    """
    require_package()
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    chosen = LoraConfig(
        r=encoder.lora_rank,
        lora_alpha=encoder.lora_alpha,
        lora_dropout=encoder.lora_dropout,
        target_modules=adapted_modules(model, encoder),
    )
    LoraModel(model, chosen, _ADAPTER)  # it changes the model itself


def _merge(model: Any) -> None:
    """Add the products of the low-rank matrices to the weights beside them, and remove the matrices."""
    from peft.tuners.lora import LoraLayer

    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]
    for name, module in adapted:
        module.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, module.get_base_layer())
