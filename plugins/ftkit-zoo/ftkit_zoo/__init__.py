"""Further pretrained backbones for ftkit."""

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Backbone
from ftkit_zoo import decoders, encoders


@hookimpl
def backbones() -> Sequence[type[Backbone]]:
    """Encoders in one language and in many, a decoder that classifies, and any checkpoint."""
    return [
        encoders.AnyEncoder,
        encoders.DistilRobertaBase,
        encoders.ElectraBase,
        encoders.ElectraLarge,
        encoders.ElectraSmall,
        encoders.MDebertaV3Base,
        encoders.MPNetBase,
        encoders.ModernBertBase,
        encoders.ModernBertLarge,
        encoders.MultilingualMiniLM,
        encoders.RobertaBase,
        encoders.RobertaLarge,
        encoders.XLMRobertaBase,
        encoders.XLMRobertaLarge,
        decoders.Qwen3Small,
    ]
