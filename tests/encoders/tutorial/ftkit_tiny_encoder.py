"""A complete plugin of a third party: one more Hugging Face checkpoint as a backbone."""

from dataclasses import dataclass

from ftkit import hookimpl
from ftkit.encoders import Encoder


@dataclass(frozen=True, kw_only=True)
class ModernBert(Encoder):
    """ModernBERT-base."""

    name = "modernbert-base"
    checkpoint: str = "answerdotai/ModernBERT-base"


@hookimpl
def backbones():
    return [ModernBert]
