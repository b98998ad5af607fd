"""BERT and DistilBERT backbones for ftkit, and search spaces for fine-tuning them."""

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Backbone, SearchSpace
from ftkit_bert.backbones import BertBaseCased, BertBaseUncased, BertLargeCased, DistilBertBaseCased
from ftkit_bert.spaces import BertPaper, Original


@hookimpl
def backbones() -> Sequence[type[Backbone]]:
    """BERT-Base, cased and uncased, BERT-Large and DistilBERT."""
    return [BertBaseCased, BertBaseUncased, BertLargeCased, DistilBertBaseCased]


@hookimpl
def search_spaces() -> Sequence[type[SearchSpace]]:
    """The space of the original accelerator, and that of the BERT paper."""
    return [Original, BertPaper]
