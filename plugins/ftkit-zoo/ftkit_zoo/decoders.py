"""Decoders that classify: the head reads the last token of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ftkit.contracts import Description, Task
from ftkit.encoders import Encoder
from ftkit_zoo.languages import QWEN3


@dataclass(frozen=True, kw_only=True)
class Qwen3Small(Encoder):
    """Qwen3-0.6B, pretrained only: 596 million parameters in 28 layers of width 1024, 119 languages, long texts.

    Source: Yang et al. 2025, "Qwen3 Technical Report"; Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models".
    """

    name = "qwen3-0.6b"
    tasks: ClassVar[tuple[Task, ...]] = ("single-label", "multi-label")
    """Its head has no biases, which an order of classes needs."""
    encoder_parameters = 440_000_000
    description = Description("Qwen3", 596_000_000, QWEN3, "apache-2.0", 32_768)
    checkpoint: str = "Qwen/Qwen3-0.6B-Base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    tuning: Literal["full", "lora", "head"] = "lora"
    """What is trained: all weights; small matrices beside those of the attention, and the head; or the head alone."""
