"""Versions of one small real model that differ a little: all answer the same labels, and each has scores of its own, which tell who answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks import bundles, rows
from ftkit.bundle import bundle
from ftkit.bundle.bundle import Bundle

MODELS = ("linear", "minilm")
TEXTS = 40
"""Different texts that are asked."""

Kind = Literal["sound", "garbage", "wrong"]
"""One that answers as it should, one that cannot be loaded, and one that never answers one of the classes."""


@dataclass(frozen=True)
class Version:
    """One version of the model."""

    bundle: Bundle
    answers: Sequence[tuple[str, float]]
    """For each text its label and the score of it."""


class Versions:
    """Makes versions, each from a seed."""

    def __init__(self, model: str, folder: Path, train_rows: int = 0) -> None:
        self._folder = folder
        data = rows.load(None, train_rows)
        self.texts = [" ".join(text.split()[:45]) for text in data.valid.texts[:TEXTS]]
        self._use = model
        self._saved: Callable[[Path, np.random.Generator, bool], Any] = (
            _linear(data) if model == "linear" else _minilm(data.classes)
        )

    def make(self, name: str, kind: Kind, seed: int) -> Version:
        """Write the bundle of a version."""
        folder = self._folder / name
        classifier = self._saved(folder / "model", np.random.default_rng(seed), kind == "wrong")
        if kind == "garbage":
            name = "linear.json" if self._use == "linear" else "config.json"
            (folder / "model" / name).write_text("{}")
        written = bundle.write(
            folder / "bundle",
            model=folder / "model",
            classes=classifier.classes,
            backbone={"use": self._use},
            recipe='name = "benchmark"\n',
            card="# Benchmark\n",
            sample_texts=self.texts[:2],
            about={"run": "benchmark"},
        )
        bundles.let_through(written, {})
        probabilities = classifier.probabilities(self.texts)
        return Version(written, [(classifier.classes[int(row.argmax())], float(row.max())) for row in probabilities])


def _linear(data: Any) -> Callable[[Path, np.random.Generator, bool], Any]:
    """Fitted once; each version's coefficients are a few per cent off."""
    from dataclasses import replace

    from ftkit_linear.backbone import Linear

    fitted: Any = Linear(words=1, characters=0).fit(data, 0, lambda *_, **__: True)

    def save(folder: Path, random: np.random.Generator, wrong: bool) -> Any:
        noise = 1 + 0.03 * random.normal(size=fitted.coefficients.shape)
        coefficients = (fitted.coefficients * noise).astype(fitted.coefficients.dtype)
        intercepts = fitted.intercepts - wrong * 50.0 * np.eye(len(fitted.classes))[0]
        classifier = replace(fitted, coefficients=coefficients, intercepts=intercepts)
        classifier.save(folder)
        return classifier

    return save


def _minilm(classes: Sequence[str]) -> Callable[[Path, np.random.Generator, bool], Any]:
    """The quickstart's encoder with a random head, which all versions have with a little noise of their own."""
    import torch
    from ftkit_quickstart.minilm import packaged

    from ftkit.encoders import checkpoint
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer

    saved = checkpoint.read(packaged())
    torch.manual_seed(rows.SEED)
    model = saved.model(tuple(classes))
    weight, bias = (each.detach().clone() for each in model.classifier.parameters())
    weight = 30 * weight  # an untrained head is sure of nothing

    def save(folder: Path, random: np.random.Generator, wrong: bool) -> Any:
        noise = torch.from_numpy(1 + 0.03 * random.normal(size=tuple(weight.shape))).to(weight.dtype)
        with torch.no_grad():
            model.classifier.weight.copy_(weight * noise)
            model.classifier.bias.copy_(bias - wrong * 50.0 * torch.eye(len(bias))[0])
        classifier = EncoderClassifier(model, Tokenizer(saved.tokenizer, saved.limit), 128)
        classifier.save(folder)
        return classifier

    return save
