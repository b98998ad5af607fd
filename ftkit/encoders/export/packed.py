"""Exports a saved encoder for ftkit-native, and compares what it then answers with the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftkit.encoders import checkpoint
from ftkit.encoders.inference import fast_tokenizer
from ftkit.encoders.inference.engines import FORMATS, NEW_BUNDLE
from ftkit.encoders.inference.packed import packed
from ftkit.encoders.paired_rows import SECOND, inputs
from ftkit.encoders.task import task_of
from ftkit.errors import BundleError, CheckpointError, StageError

TOLERANCES = {"packed-bf16": 0.1, "packed-int8": 0.5}
"""How far a logit of a fresh export may be from the model's, in shares of the largest or of 1: rounding is below, a mistake above.

Whether an engine is near enough to serve is judged by the promotion tests.
"""
LENGTHS = (1, 5, 41)


def export(folder: Path, engines: Sequence[str]) -> None:
    """Write these engines into the folder of a saved model.

    Raises: PluginError without the library; BundleError for a model that cannot be read; StageError for one that
    cannot be exported.
    """
    import ftkit_native

    try:
        saved = checkpoint.read(folder)
        model = saved.model(saved.classes, task=task_of(saved.config), complete=True).eval().requires_grad_(False)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be exported: {error.what}", where=error.where or str(folder), hint=NEW_BUNDLE
        ) from error
    tokenizer = fast_tokenizer.read_with_transformers(folder).tokenizer
    for engine in engines:
        path = folder / FORMATS[engine].file
        path.parent.mkdir(parents=True)
        try:
            ftkit_native.export(model, path, int8=engine == "packed-int8", limit=tokenizer.limit, typed=tokenizer.typed)
        except ftkit_native.Unsupported as error:
            raise _failed(str(error)) from error
        _compare(model, path, engine, tokenizer.limit)


def _compare(model: Any, path: Path, engine: str, limit: int) -> None:
    """Raises: StageError when an export's logits are those of another model."""
    import numpy as np
    import torch

    network, generator = packed(path), np.random.default_rng(0)
    for length in LENGTHS:
        ids = generator.integers(0, model.config.vocab_size, (1, min(length, limit)))
        if "token_type_ids" in network.inputs:
            ids[:, length // 3 :] += SECOND
        with torch.inference_mode():
            expected = model(**inputs(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.long))).logits.numpy()
        difference = float(np.abs(network.run(ids, np.ones_like(ids)) - expected).max())
        if not difference <= TOLERANCES[engine] * max(1.0, float(np.abs(expected).max())):
            raise _failed(f"its logits are {difference:.3g} away from the model's")


def _failed(reason: str) -> StageError:
    return StageError(
        f"the model cannot be exported to ftkit-native: {reason}",
        where="backbone.engines",
        hint="Leave the engines packed-bf16 and packed-int8 out of backbone.engines, and give the same command.",
    )
