"""DeBERTa-v3 backbones for ftkit."""

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Backbone
from ftkit_deberta.backbones import DebertaV3Base, DebertaV3Large, DebertaV3Small


@hookimpl
def backbones() -> Sequence[type[Backbone]]:
    """DeBERTa-v3 in three sizes."""
    return [DebertaV3Small, DebertaV3Base, DebertaV3Large]
