"""BERT and DistilBERT as backbones: each is one checkpoint of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.contracts import Description
from ftkit.encoders import Encoder


@dataclass(frozen=True, kw_only=True)
class BertBaseCased(Encoder):
    """BERT-Base, cased: 108 million parameters in 12 layers of width 768.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".
    """

    name = "bert-base-cased"
    encoder_parameters = 86_000_000
    description = Description("BERT", 108_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google-bert/bert-base-cased"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class BertBaseUncased(Encoder):
    """BERT-Base for lower-cased text: 110 million parameters in 12 layers of width 768.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".
    """

    name = "bert-base-uncased"
    encoder_parameters = 86_000_000
    description = Description("BERT", 110_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google-bert/bert-base-uncased"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""


@dataclass(frozen=True, kw_only=True)
class BertLargeCased(Encoder):
    """BERT-Large, cased: 333 million parameters in 24 layers of width 1024.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    which reports that its fine-tuning is unstable on small data: try several seeds.
    """

    name = "bert-large-cased"
    encoder_parameters = 303_000_000
    description = Description("BERT", 333_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "google-bert/bert-large-cased"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 2e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class DistilBertBaseCased(Encoder):
    """DistilBERT, cased: 65 million parameters in 6 layers of width 768, distilled from BERT-Base.

    Source: Sanh et al. 2019, "DistilBERT, a distilled version of BERT".
    """

    name = "distilbert-base-cased"
    encoder_parameters = 43_000_000
    description = Description("DistilBERT", 65_000_000, ("en",), "apache-2.0", 512)
    checkpoint: str = "distilbert/distilbert-base-cased"
    """Where the pretrained weights are: a model id on the Hugging Face hub, or a local folder."""
    learning_rate: float = 5e-5
    """Highest learning rate of the schedule, which falls linearly to zero after the warm-up."""
