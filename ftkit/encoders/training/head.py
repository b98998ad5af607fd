"""The linear layer of a model's logits, and where its biases begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch


def linear_head(model: Any) -> tuple[Any, str, torch.nn.Linear] | None:
    """The module that holds the linear layer of the logits, the layer's name in it, and the layer; None without one with biases."""
    from torch import nn

    within = f"{model.base_model_prefix}."
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and not name.startswith(within)
        and module.out_features == model.config.num_labels
    ]
    if not layers or layers[-1][1].bias is None:
        return None
    name, linear = layers[-1]
    parent, _, own = name.rpartition(".")
    return model.get_submodule(parent), own, linear


def begin_at_rates(model: Any, labels: np.ndarray, weights: np.ndarray) -> None:
    """Have a new head of several labels a row begin with the share of the rows that have each label, instead of with a half.

    A label that one row in thirty has is missing in nearly all, and a head that must first learn that leads the encoder to
    answer "none" whatever the text: of 1,200 rows with 28 labels it hardly learns more than the most frequent one. A head that has been
    trained, whose biases are not zero, stays as it is.

    `labels` are 0 and 1, (rows, classes); `weights`, (classes,), is how much more the rows with a label count.
    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.3.
    """
    import numpy as np
    import torch

    found = linear_head(model)
    if found is None or bool(found[2].bias.detach().any()):
        return
    least = 0.5 / len(labels)
    rates = labels.mean(0).clip(least, 1 - least)
    with torch.no_grad():
        found[2].bias.copy_(torch.from_numpy(np.log(weights * rates / (1 - rates))))
