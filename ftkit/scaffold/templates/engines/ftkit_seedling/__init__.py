"""A backbone with an engine for ftkit: hashed words, whose weights need half of the space as 16-bit numbers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts import Data, Probabilities, Report
from ftkit.errors import BundleError, StageError

BUCKETS = 4096
"""Words with the same hash modulo this number share their weights."""


@dataclass(frozen=True)
class Model:
    """A linear model on hashed words; the engine is the same with other weights."""

    classes: tuple[str, ...]
    weights: Probabilities  # (buckets, classes)
    lowercase: bool
    half: Probabilities | None = None
    """The weights that answer, where an engine answers."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes)."""
        import numpy as np

        weights = self.weights if self.half is None else self.half
        scores = np.zeros((len(texts), len(self.classes)))
        for row, text in enumerate(texts):
            buckets = _buckets(text, self.lowercase)
            scores[row] = weights[buckets].sum(axis=0, dtype=float) / max(len(buckets), 1) ** 0.5
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def save(self, folder: Path) -> None:
        """Write the whole model, also of an engine: what is loaded of it can be loaded as model and as engine again."""
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "weights.npz", weights=self.weights)
        description = {"classes": self.classes, "lowercase": self.lowercase}
        (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")
        if self.half is not None:
            np.savez(folder / "half.npz", weights=self.half)


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Softmax regression on hashed words."""

    name: ClassVar[str] = "seedling"
    epochs: int = 5
    """Passes over the training rows."""
    learning_rate: float = 0.5
    """Size of the steps, before it falls to zero."""
    lowercase: bool = True
    """Whether `Good` and `good` are one word."""
    schedule: Literal["linear", "constant"] = "linear"
    """Whether the learning rate falls along a line."""
    stop_words: str = ""
    """Words that are not learned from, with spaces between them."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much the rows of a class count, by its name; others count 1."""
    start: Path | None = None
    """The `model` folder of a bundle with the same classes, to learn on from."""
    engines: tuple[Literal["half"], ...] = ()
    """Engines to add to the bundle: `half`, with 16-bit weights."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError("epochs must be at least 1")
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")

    def fit(self, data: Data, seed: int, report: Report) -> Model:
        """Descend row by row, and return the weights of the best epoch."""
        import numpy as np

        stop = {*self.stop_words.split()}
        texts = [" ".join(word for word in text.split() if word not in stop) for text in data.train.texts]
        rows = [np.array(_buckets(text, self.lowercase), dtype=int) for text in texts]
        counts = [self.weights.get(name, 1.0) for name in data.classes]
        generator = np.random.default_rng(seed)
        weights = self._first(data) + generator.normal(0, 1e-3, (BUCKETS, len(data.classes)))
        best = weights.copy()
        for epoch in range(1, self.epochs + 1):
            falls = 1 - (epoch - 1) / self.epochs if self.schedule == "linear" else 1.0
            for row in generator.permutation(len(rows)):
                buckets, label = rows[row], data.train.labels[row]
                scores = weights[buckets].sum(axis=0) / max(len(buckets), 1) ** 0.5
                error = np.exp(scores - scores.max())
                error = error / error.sum() - (np.arange(len(scores)) == label)
                step = self.learning_rate * falls * counts[label] / max(len(buckets), 1) ** 0.5
                np.subtract.at(weights, buckets, step * error)
            model = Model(data.classes, weights, self.lowercase)
            if report(epoch, model.probabilities(data.valid.texts)):  # it may raise StopTrial: let it pass
                best = weights.copy()
        return Model(data.classes, best, self.lowercase)

    def load(self, folder: Path) -> Model:
        """The model that was saved there."""
        try:
            description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            return Model(tuple(description["classes"]), _weights(folder / "weights.npz"), description["lowercase"])
        except (OSError, ValueError, LookupError) as error:
            raise BundleError("the model cannot be read", where=str(folder)) from error

    def export(self, folder: Path) -> None:
        """Add the engines' files to a saved model, and change none."""
        import numpy as np

        for engine in self.engines:
            np.savez(folder / f"{engine}.npz", weights=self.load(folder).weights.astype(np.float16))

    def load_engine(self, folder: Path, engine: str) -> Model:
        """The engine of a saved model."""
        from dataclasses import replace

        if not (folder / f"{engine}.npz").is_file():
            raise BundleError(f"the model has no engine {engine!r}", where=str(folder))
        return replace(self.load(folder), half=_weights(folder / f"{engine}.npz"))

    def _first(self, data: Data) -> Probabilities:
        """The weights to begin with. Raises: StageError."""
        import numpy as np

        if self.start is None:
            return np.zeros((BUCKETS, len(data.classes)))
        model = self.load(self.start)
        if model.classes != data.classes:
            hint = f"The data have {', '.join(data.classes)}."
            raise StageError(
                f"the model to start from has the classes {', '.join(model.classes)}", str(self.start), hint
            )
        return model.weights


def _buckets(text: str, lowercase: bool) -> list[int]:
    """A number for each word, the same on every machine."""
    words = (text.lower() if lowercase else text).split()
    return [zlib.crc32(word.encode("utf-8", "surrogatepass")) % BUCKETS for word in words]


def _weights(path: Path) -> Probabilities:
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays["weights"])


@hookimpl
def backbones() -> list[type[Seedling]]:
    """The backbones of this plugin."""
    return [Seedling]
