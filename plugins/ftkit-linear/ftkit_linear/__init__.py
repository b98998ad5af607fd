"""A linear model on n-grams for ftkit, and the promotion test that every other model must pass against it."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Backbone
from ftkit_linear.backbone import Linear


@hookimpl
def backbones() -> Sequence[type[Backbone]]:
    """Logistic regression on n-grams."""
    return [Linear]
