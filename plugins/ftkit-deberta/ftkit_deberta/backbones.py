"""DeBERTa-v3 as backbones, in three sizes; defaults are in the middle of the ranges that its authors searched.

Source: He et al. 2023, "DeBERTaV3: Improving DeBERTa using ELECTRA-Style Pre-Training with Gradient-Disentangled
Embedding Sharing", appendix, fine-tuning hyperparameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.contracts import Description
from ftkit.encoders import Encoder


@dataclass(frozen=True, kw_only=True)
class DebertaV3Small(Encoder):
    """DeBERTa-v3-small: 44 million parameters in 6 layers of width 768, and 98 million in its embeddings."""

    name = "deberta-v3-small"
    encoder_parameters = 44_000_000
    description = Description("DeBERTa", 142_000_000, ("en",), "mit", 512)
    checkpoint: str = "microsoft/deberta-v3-small"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    adam_epsilon: float = 1e-6
    """Term that keeps AdamW's denominator from zero."""


@dataclass(frozen=True, kw_only=True)
class DebertaV3Base(Encoder):
    """DeBERTa-v3-base: 86 million parameters in 12 layers of width 768, and 98 million in its embeddings."""

    name = "deberta-v3-base"
    encoder_parameters = 86_000_000
    description = Description("DeBERTa", 184_000_000, ("en",), "mit", 512)
    checkpoint: str = "microsoft/deberta-v3-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 2e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""
    adam_epsilon: float = 1e-6
    """Term that keeps AdamW's denominator from zero."""


@dataclass(frozen=True, kw_only=True)
class DebertaV3Large(Encoder):
    """DeBERTa-v3-large: 304 million parameters in 24 layers of width 1024, and 131 million in its embeddings."""

    name = "deberta-v3-large"
    encoder_parameters = 304_000_000
    description = Description("DeBERTa", 435_000_000, ("en",), "mit", 512)
    checkpoint: str = "microsoft/deberta-v3-large"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 1e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""
    adam_epsilon: float = 1e-6
    """Term that keeps AdamW's denominator from zero."""
