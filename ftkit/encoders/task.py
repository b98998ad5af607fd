"""Where the configuration of a model says what is asked of a text, and whether it reads two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.contracts import Task

ORDERED = "ftkit_ordered"
"""True where the classes are an order, for which transformers has no name: such a model answers as one of `single-label`."""

PAIRS = "ftkit_pairs"
"""True where the model reads pairs of texts."""


def set_task(config: Any, task: Task) -> None:
    """Write the task into a configuration, as transformers understands it where it can."""
    config.problem_type = f"{'multi' if task == 'multi-label' else 'single'}_label_classification"
    vars(config).pop(ORDERED, None)
    if task == "ordinal":
        setattr(config, ORDERED, True)


def task_of(config: Any) -> Task:
    """The task of a model with this configuration."""
    if config.problem_type == "multi_label_classification":
        return "multi-label"
    return "ordinal" if vars(config).get(ORDERED) is True else "single-label"


def set_pairs(config: Any, paired: bool) -> None:
    """Write into a configuration whether the model reads pairs."""
    vars(config).pop(PAIRS, None)
    if paired:
        setattr(config, PAIRS, True)


def reads_pairs(config: Any) -> bool:
    """Whether a model with this configuration reads pairs."""
    return vars(config).get(PAIRS) is True
