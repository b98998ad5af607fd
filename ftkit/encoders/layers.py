"""The layers of an encoder, whatever its architecture calls them: to train them at rates of their own, or to keep only some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ftkit.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

_INDICES = ("layer_idx", "layer_id")
"""Attributes by which modules of some architectures know the number of their layer."""


def stack(model: Any) -> tuple[str, nn.ModuleList]:
    """The list of an encoder's layers, and its name in the model. Raises: CheckpointError where there is none."""
    from torch import nn

    count = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise CheckpointError(
        f"a model of type {model.config.model_type!r} has no layers of their own",
        where="backbone",
        hint="Its layers share their weights: leave out layer_decay and layers.",
    )


def depths(model: Any) -> dict[str, int]:
    """For each parameter, by name, how many layers lie between it and the head, counting its own: 0 for what is no layer's.

    The highest layer has 1, the embeddings one more than the lowest layer. Raises: CheckpointError.
    """
    name, layers = stack(model)
    count = len(layers)
    of_layer = re.compile(rf"{re.escape(name)}\.(\d+)\.")

    def depth(parameter: str) -> int:
        if match := of_layer.match(parameter):
            return count - int(match[1])
        return count + 1 if "embed" in parameter else 0

    return {parameter: depth(parameter) for parameter, _ in model.named_parameters()}


def keep(model: Any, count: int) -> None:
    """Leave a model so many of its layers, evenly spaced, the first and the last among them; its configuration says so.

    Source: Sanh et al. 2019, "DistilBERT", section 3, on a student made of its teacher's layers. Raises: CheckpointError.
    """
    from torch import nn

    name, layers = stack(model)
    if count > len(layers):
        raise CheckpointError(
            f"the checkpoint has {len(layers)} layers, and layers = {count:,} asks for more",
            where="backbone.layers",
            hint=f"Set layers to {len(layers)} or fewer.",
        )
    kept = evenly_spaced(len(layers), count)
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, nn.ModuleList(layers[index] for index in kept))
    config = model.config
    for field, value in config.to_dict().items():
        if isinstance(value, list) and len(value) == len(layers) and field.startswith("layer"):
            setattr(config, field, [value[index] for index in kept])  # such as the kind of attention of each layer
    config.num_hidden_layers = count
    for number, index in enumerate(kept):
        for module in layers[index].modules():
            for attribute in _INDICES:
                if isinstance(vars(module).get(attribute), int):
                    setattr(module, attribute, number)


def evenly_spaced(layers: int, count: int) -> list[int]:
    """Indices of so many of the layers; of one alone, the first, which reads the embeddings."""
    if count == 1:
        return [0]
    return [round(index * (layers - 1) / (count - 1)) for index in range(count)]
