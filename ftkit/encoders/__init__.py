"""Fine-tuning of Hugging Face encoders: subclass `Encoder` and a checkpoint is a backbone.

    @dataclass(frozen=True, kw_only=True)
    class ModernBert(Encoder):
        name = "modernbert-base"
        checkpoint: str = "answerdotai/ModernBERT-base"

Importing this loads neither torch nor transformers.
"""

from ftkit.encoders.encoder import Encoder

__all__ = ["Encoder"]
