"""Encoders of the Hugging Face hub, each with the facts of its model card.

Parameters are those of the encoder without a head, counted by its published configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ftkit.contracts import Description, FolderOrId
from ftkit.contracts.backbones import UNKNOWN
from ftkit.encoders import Encoder
from ftkit_zoo.languages import CC100, XNLI


@dataclass(frozen=True, kw_only=True)
class AnyEncoder(Encoder):
    """Any encoder of the Hugging Face hub or of a local folder, or a decoder that classifies: `checkpoint` says which.

    Its architecture must be one that the installed transformers knows, with a head for classification.
    """

    name = "encoder"
    checkpoint: FolderOrId = field()
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class RobertaBase(Encoder):
    """RoBERTa-base: 125 million parameters in 12 layers of width 768, cased English.

    Source: Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach", also for the learning rates.
    """

    name = "roberta-base"
    encoder_parameters = 86_000_000
    learning_rates = (2e-5, 3e-5)
    description = Description("RoBERTa", 125_000_000, ("en",), "mit", 512)
    checkpoint: str = "FacebookAI/roberta-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class RobertaLarge(Encoder):
    """RoBERTa-large: 355 million parameters in 24 layers of width 1024, cased English.

    Source: Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach", also for the learning rate.
    """

    name = "roberta-large"
    encoder_parameters = 304_000_000
    description = Description("RoBERTa", 355_000_000, ("en",), "mit", 512)
    checkpoint: str = "FacebookAI/roberta-large"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 1e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class DistilRobertaBase(Encoder):
    """DistilRoBERTa: 82 million parameters in 6 layers of width 768, distilled from RoBERTa-base, cased English.

    Source: Sanh et al. 2019, "DistilBERT, a distilled version of BERT", whose procedure it follows.
    """

    name = "distilroberta-base"
    encoder_parameters = 43_000_000
    description = Description("RoBERTa", 82_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "distilbert/distilroberta-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class ModernBertBase(Encoder):
    """ModernBERT-base: 149 million parameters in 22 layers of width 768, English and code, up to 8,192 tokens.

    Source: Warner et al. 2024, "Smarter, Better, Faster, Longer", also for the range of the learning rates.
    """

    name = "modernbert-base"
    encoder_parameters = 110_000_000
    learning_rates = (5e-5, 8e-5)
    description = Description("ModernBERT", 149_000_000, ("en",), "apache-2.0", 8192)
    checkpoint: str = "answerdotai/ModernBERT-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class ModernBertLarge(Encoder):
    """ModernBERT-large: 395 million parameters in 28 layers of width 1024, English and code, up to 8,192 tokens.

    Source: Warner et al. 2024, "Smarter, Better, Faster, Longer".
    """

    name = "modernbert-large"
    encoder_parameters = 343_000_000
    description = Description("ModernBERT", 395_000_000, ("en",), "apache-2.0", 8192)
    checkpoint: str = "answerdotai/ModernBERT-large"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 3e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class ElectraSmall(Encoder):
    """ELECTRA-small: 13.5 million parameters in 12 layers of width 256, lower-cased English.

    Source: Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", also for the
    learning rate.
    """

    name = "electra-small"
    encoder_parameters = 9_600_000
    learning_rates = (3e-4, 3e-4)
    description = Description("ELECTRA", 13_500_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google/electra-small-discriminator"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class ElectraBase(Encoder):
    """ELECTRA-base: 109 million parameters in 12 layers of width 768, lower-cased English.

    Source: Clark et al. 2020, "ELECTRA", also for the learning rate.
    """

    name = "electra-base"
    encoder_parameters = 86_000_000
    learning_rates = (1e-4, 1e-4)
    description = Description("ELECTRA", 109_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google/electra-base-discriminator"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class ElectraLarge(Encoder):
    """ELECTRA-large: 334 million parameters in 24 layers of width 1024, lower-cased English.

    Source: Clark et al. 2020, "ELECTRA", also for the learning rate.
    """

    name = "electra-large"
    encoder_parameters = 303_000_000
    description = Description("ELECTRA", 334_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google/electra-large-discriminator"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 5e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class MPNetBase(Encoder):
    """MPNet-base: 110 million parameters in 12 layers of width 768, lower-cased English.

    Source: Song et al. 2020, "MPNet: Masked and Permuted Pre-training for Language Understanding".
    """

    name = "mpnet-base"
    encoder_parameters = 86_000_000
    description = Description("MPNet", 110_000_000, ("en",), UNKNOWN, 512)
    checkpoint: str = "microsoft/mpnet-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class XLMRobertaBase(Encoder):
    """XLM-RoBERTa-base: 278 million parameters, 192 million of them embeddings, in 12 layers of width 768; 100 languages.

    Source: Conneau et al. 2020, "Unsupervised Cross-lingual Representation Learning at Scale".
    """

    name = "xlm-roberta-base"
    encoder_parameters = 86_000_000
    learning_rates = (2e-5, 3e-5)
    description = Description("XLM-RoBERTa", 278_000_000, CC100, "mit", 512)
    checkpoint: str = "FacebookAI/xlm-roberta-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class XLMRobertaLarge(Encoder):
    """XLM-RoBERTa-large: 560 million parameters, 256 million of them embeddings, in 24 layers of width 1024; 100 languages.

    Source: Conneau et al. 2020, "Unsupervised Cross-lingual Representation Learning at Scale".
    """

    name = "xlm-roberta-large"
    encoder_parameters = 304_000_000
    description = Description("XLM-RoBERTa", 560_000_000, CC100, "mit", 512)
    checkpoint: str = "FacebookAI/xlm-roberta-large"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 1e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class MDebertaV3Base(Encoder):
    """mDeBERTa-v3-base: 278 million parameters, 193 million of them embeddings, in 12 layers of width 768; 100 languages.

    Source: He et al. 2023, "DeBERTaV3", section 5.3, also for the learning rate.
    """

    name = "mdeberta-v3-base"
    encoder_parameters = 86_000_000
    description = Description("DeBERTa", 278_000_000, CC100, "mit", 512)
    checkpoint: str = "microsoft/mdeberta-v3-base"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 2e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""
    adam_epsilon: float = 1e-6
    """Term that keeps AdamW's denominator from zero."""


@dataclass(frozen=True, kw_only=True)
class MultilingualMiniLM(Encoder):
    """Multilingual MiniLM: 118 million parameters, 96 million of them embeddings, in 12 layers of width 384; 15 languages.

    Source: Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression", also for the rate.
    """

    name = "multilingual-minilm"
    encoder_parameters = 21_000_000
    learning_rates = (5e-5, 1e-4)
    description = Description("BERT", 118_000_000, XNLI, "mit", 512)
    checkpoint: str = "microsoft/Multilingual-MiniLM-L12-H384"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
