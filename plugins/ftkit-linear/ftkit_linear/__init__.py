"""A linear model on n-grams for ftkit, and the promotion test that every other model must pass against it."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Backbone, PromotionTest
from ftkit_linear.backbone import Linear
from ftkit_linear.baseline import BeatsBaseline


@hookimpl
def backbones() -> Sequence[type[Backbone]]:
    """Logistic regression on n-grams."""
    return [Linear]


@hookimpl
def promotion_tests() -> Sequence[type[PromotionTest]]:
    """Whether a model is better than that."""
    return [BeatsBaseline]
