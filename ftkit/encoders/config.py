"""The options of every encoder backbone, with their defaults and their checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from ftkit.contracts import FolderOrId
from ftkit.contracts.backbones import UNKNOWN, declared

Auto = Literal["auto"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
EngineName = Literal["onnx", "onnx-int8", "openvino", "packed-bf16", "packed-int8"]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """How an encoder is fine-tuned: the options that `ftkit.encoders.Encoder` has in a recipe.

    Options that are "auto" follow the training rows, see `ftkit.encoders.adaptation`. Other defaults are those of Devlin et
    al. 2019, "BERT", section A.3 (fine-tuning), and of its released code where the paper gives none.
    """

    name: ClassVar[str]
    encoder_parameters: ClassVar[int | None] = None
    """Parameters outside the embeddings: `ftkit plan` estimates the time of a first run from them; None if unknown."""
    ends_early: ClassVar[bool] = True
    distributed: ClassVar[bool] = True
    """The training returns its best weights so far when it is told to end."""
    exportable: ClassVar[tuple[EngineName, ...]] = get_args(EngineName)
    """The engines that compute this architecture: a recipe with any other is refused."""
    learning_rates: ClassVar[tuple[float, float]] = (3e-5, 5e-5)
    """What `learning_rate = "auto"` chooses from: the usual rate, and one for classes with few rows."""
    checkpoint: FolderOrId = ""
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    revision: str | None = None
    """Branch, tag or commit of a checkpoint on the hub; a commit always names the same weights."""
    licences: tuple[str, ...] = ()
    """Licences that the pretrained weights may have, such as `mit`, or `unknown`; any where none is named."""
    offline: bool = False
    """Make no connection: the checkpoint must be a local folder or already in the hub's cache on this machine."""
    learning_rate: float | Auto = "auto"
    """Highest learning rate of the schedule; `auto`: higher for few rows a class, and where only some weights are trained."""
    epochs: int | Auto = "auto"
    """Times that training goes through all training rows; `auto`: more for few rows and for many classes."""
    batch_size: int | Auto = "auto"
    """Rows per optimizer step, over all processes and micro-batches together; `auto`: 16, or 32 for many rows."""
    accumulation: int = 1
    """Micro-batches that a batch is divided into to save memory; the result is that of the whole batch."""
    warmup: float = 0.1
    """Share of all steps over which the learning rate rises from zero, from 0 to below 1."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate goes on after the warm-up: to zero along a line or half a cosine, or as it is."""
    layer_decay: float = 1.0
    """Factor from the learning rate of each layer to that of the layer below; the head has the whole rate, the embeddings the least."""
    weight_decay: float = 0.01
    """Decoupled weight decay of all weights but biases and normalisation weights."""
    adam_beta1: float = 0.9
    """Decay of AdamW's running mean of the gradient."""
    adam_beta2: float = 0.999
    """Decay of AdamW's running mean of the squared gradient."""
    adam_epsilon: float = 1e-8
    """Term that keeps AdamW's denominator from zero."""
    max_grad_norm: float = 1.0
    """Gradients with a larger global norm are scaled down to this norm; 0 turns clipping off."""
    max_length: int | Auto = "auto"
    """Tokens of a text that are read, special ones included, up to the model's limit; `auto`: by the texts' lengths."""
    long_texts: Literal["head", "head-tail", "windows"] = "head"
    """What is read of a text beyond max_length: its beginning; its beginning and end; or all of it, in windows of max_length."""
    stride: int | None = None
    """Tokens from the beginning of a window to that of the next; by default a window's own, so that none is read twice."""
    window_pooling: Literal["mean", "max"] = "mean"
    """How the logits of a text's windows become those of the text: by class, their mean or the largest."""
    dropout: float | None = None
    """Dropout of the encoder and its head in training; by default that of the checkpoint."""
    class_weights: Literal["none", "balanced"] | Mapping[str, float] = "none"
    """Weight of each class in the loss: equal, inverse to its number of training rows, or by name, `{ spam = 2.0 }`; others weigh 1."""
    loss: Literal["cross-entropy", "focal"] = "cross-entropy"
    """The loss: `focal` gives less weight to rows that are answered rightly and surely."""
    focal_gamma: float = 2.0
    """How much less: a row weighs (1 - probability of its class) to this power."""
    label_smoothing: float = 0.0
    """Share of each label that is given to all classes in equal parts, from 0 to below 1."""
    tuning: Literal["full", "lora", "head"] = "full"
    """What is trained: all weights; small matrices beside those of the attention, and the head; or the head alone."""
    lora_rank: int = 8
    """Rank of the matrices that `tuning = "lora"` trains."""
    lora_alpha: int = 16
    """Their product is multiplied by this number over the rank."""
    lora_dropout: float = 0.0
    """Dropout of what they read, from 0 to below 1."""
    lora_modules: tuple[str, ...] = ()
    """Ends of the names of the linear layers that get them, such as `query`; by default those of the attention."""
    gradient_checkpointing: bool = False
    """Compute each layer again in the backward pass instead of storing it: less memory, more time, the same result."""
    layers: int | None = None
    """Train a smaller model of so many layers of the checkpoint, evenly spaced, the first and the last among them."""
    teacher: FolderOrId | None = None
    """A model to learn from beside the labels: the folder of a bundle, or `champion` for that of the registry."""
    distillation_weight: float = 0.5
    """Share of the teacher's answers in the loss, from 0 to 1; the labels have the rest."""
    distillation_temperature: float = 2.0
    """What logits are divided by before teacher and model are compared: more tells of classes that are not the answer."""
    unlabelled: Path | None = None
    """A file of texts without labels, a table or one text a line, that the model learns by the teacher's answers alone."""
    unlabelled_text: tuple[str, ...] = ("text",)
    """The columns of that table that make up a text."""
    early_stopping: int = 0
    """Stop after this many evaluations in a row without a better one; 0 never stops."""
    evaluate_every: float = 1.0
    """When to evaluate: up to 1 a share of an epoch, above 1 a number of steps; and at the end of the training."""
    max_minutes: float | None = None
    """Minutes after which a training evaluates once more and ends with its best model; interruptions do not count."""
    evaluation_batch_size: int = 32
    """Most rows of a step in an evaluation; a CPU takes fewer where rows are long."""
    calibration: Literal["none", "temperature"] = "none"
    """How probabilities are calibrated: not, or by a temperature fitted to the validation rows; no answer changes."""
    precision: Precision = "auto"
    """Number format of training's matrix products; `auto` is bf16 where the processor has units for it, else fp32."""
    engines: tuple[EngineName, ...] = ()
    """Engines to add to the bundle beside torch: ONNX Runtime in single precision or with 8-bit integers, OpenVINO, ftkit-native
    with weights in bf16 or in 8-bit integers."""

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size", "accumulation", "evaluation_batch_size", "lora_rank", "lora_alpha"):
            value = getattr(self, field)
            if value != "auto" and value < 1:
                raise ValueError(f"{field} must be at least 1")
        for field in ("learning_rate", "adam_epsilon"):
            value = getattr(self, field)
            if value != "auto" and not value > 0:
                raise ValueError(f"{field} must be above 0")
        for field in ("weight_decay", "max_grad_norm", "early_stopping", "focal_gamma"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative")
        for field in ("warmup", "adam_beta1", "adam_beta2", "label_smoothing", "lora_dropout"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field} must be from 0 to below 1")
        if self.loss == "focal" and self.label_smoothing:
            raise ValueError('label_smoothing needs loss = "cross-entropy"')
        if not 0 < self.layer_decay <= 1:
            raise ValueError("layer_decay must be above 0, and at most 1")
        if not 0 <= self.distillation_weight <= 1:
            raise ValueError("distillation_weight must be from 0 to 1")
        if not 0 < self.distillation_temperature < math.inf:
            raise ValueError("distillation_temperature must be above 0")
        if self.unlabelled is not None and not self.teacher:
            raise ValueError("unlabelled needs a teacher, which answers these texts")
        if self.layers is not None and self.layers < 1:
            raise ValueError("layers must be at least 1")
        if not 0 < self.evaluate_every < math.inf or (self.evaluate_every > 1 and self.evaluate_every % 1):
            raise ValueError(
                "evaluate_every must be a share of an epoch, such as 0.25, or a whole number of steps above 1"
            )
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            raise ValueError("max_minutes must be above 0")
        if isinstance(self.class_weights, Mapping):
            for name, weight in self.class_weights.items():
                if not 0 < weight < math.inf:
                    raise ValueError(f"class_weights: the weight of {name!r:.40} must be above 0")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to below 1")
        if self.max_length != "auto" and self.max_length < 3:
            raise ValueError("max_length must be at least 3, as two tokens are special")
        if self.long_texts != "windows" and (self.stride is not None or self.window_pooling != "mean"):
            raise ValueError('stride and window_pooling need long_texts = "windows"')
        if self.stride is not None and self.stride < 1:
            raise ValueError("stride must be at least 1")
        if self.stride is not None and self.max_length != "auto" and self.stride > self.max_length - 2:
            raise ValueError(
                f"stride must be at most {self.max_length - 2}, the tokens of a text in a window of max_length, or some are never read"
            )
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("engines must name each engine once")
        if refused := [each for each in self.engines if each not in self.exportable]:
            raise ValueError(f"engines name {', '.join(refused)}, to which {self.name} cannot be exported")
        if (facts := declared(self)) is not None and not self.allows(facts.licence):
            allowed = ", ".join(self.licences)
            raise ValueError(f"licences allow {allowed}, and the weights of {self.name} are under {facts.licence}")

    def allows(self, licence: str) -> bool:
        """Whether weights under this licence may be used; an empty one is unknown."""
        return not self.licences or (licence or UNKNOWN).lower() in map(str.lower, self.licences)

    def source(self) -> str | Path:
        """Where `fit` finds the pretrained checkpoint: a hub id or a folder. Raises: CheckpointError."""
        return self.checkpoint
