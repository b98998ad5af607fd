"""A backbone for ftkit: it counts words, and needs a second to learn which class each word speaks for."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts import Data, Probabilities, Report, Split
from ftkit.errors import BundleError, CheckpointError


@dataclass(frozen=True, kw_only=True)
class Words:
    """How a text becomes words; a model is saved with it, so that it reads as it has learned."""

    pattern: str
    lowercase: bool
    once: bool

    def of(self, text: str) -> Iterator[str]:
        """The words of a text that count."""
        words = re.findall(self.pattern, text.lower() if self.lowercase else text)
        return iter(sorted(set(words)) if self.once else words)


@dataclass(frozen=True)
class Model:
    """How strongly each word speaks for each class, as logarithms."""

    classes: tuple[str, ...]
    words: Words
    vocabulary: tuple[str, ...]
    weights: Probabilities  # (words, classes)
    priors: Probabilities  # (classes,)

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes)."""
        import numpy as np

        rows = {word: row for row, word in enumerate(self.vocabulary)}
        scores = np.tile(self.priors, (len(texts), 1))
        for number, text in enumerate(texts):
            known = [rows[word] for word in self.words.of(text) if word in rows]
            scores[number] += self.weights[known].sum(axis=0)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def save(self, folder: Path) -> None:
        """Write arrays and JSON; a pickle would be refused."""
        import numpy as np

        np.savez(folder / "weights.npz", weights=self.weights, priors=self.priors)
        description = {"classes": self.classes, "vocabulary": self.vocabulary, "words": vars(self.words)}
        (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Naive Bayes on counts of words."""

    name: ClassVar[str] = "seedling"
    fitted_at_once: ClassVar[bool] = True  # it has no epochs, and no use for the seed
    smoothing: float = 1.0
    """How often every word is taken to have occurred in every class, beside what was counted."""
    min_count: int = 1
    """Words that the training rows have fewer times are left out."""
    lowercase: bool = True
    """Whether `Good` and `good` are one word."""
    count: Literal["every", "once"] = "every"
    """Whether a word counts every time that a text has it, or once."""
    pattern: str = r"\w+"
    """The regular expression of a word."""
    stop_words: tuple[str, ...] = ()
    """Words that are left out."""
    vocabulary: Path | None = None
    """A file with one word on each line, where no others are to count."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much more likely a class is than its share of the training rows, by its name; others have 1."""

    def __post_init__(self) -> None:
        if self.smoothing <= 0:
            raise ValueError("smoothing must be above 0")
        if self.min_count < 1:
            raise ValueError("min_count must be at least 1")
        if any(weight <= 0 for weight in self.weights.values()):
            raise ValueError("weights must be above 0")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern is no regular expression: {error}") from error

    def fit(self, data: Data, seed: int, report: Report) -> Model:
        """Count the words of each class."""
        import numpy as np

        words = Words(pattern=self.pattern, lowercase=self.lowercase, once=self.count == "once")
        counts, rows = _counts(data.train, words, len(data.classes))
        vocabulary = self._chosen(counts)
        occurrences = np.array([[each[word] for each in counts] for word in vocabulary], dtype=float)
        occurrences = occurrences.reshape(len(vocabulary), len(data.classes)) + self.smoothing
        priors = np.array(rows) * [self.weights.get(name, 1.0) for name in data.classes]
        model = Model(
            data.classes,
            words,
            vocabulary,
            np.log(occurrences / occurrences.sum(axis=0, keepdims=True)),
            np.log(priors / priors.sum()),
        )
        report(1, model.probabilities(data.valid.texts))
        return model

    def load(self, folder: Path) -> Model:
        """The model that was saved there."""
        import numpy as np

        try:
            description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
                weights, priors = arrays["weights"], arrays["priors"]
            words = Words(**description["words"])
            return Model(tuple(description["classes"]), words, tuple(description["vocabulary"]), weights, priors)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise BundleError("the model cannot be read", where=str(folder)) from error

    def _chosen(self, counts: Sequence[Counter[str]]) -> tuple[str, ...]:
        """The words that count, sorted."""
        total = sum(counts, Counter[str]())
        words = {word for word, count in total.items() if count >= self.min_count} - {*self.stop_words}
        if self.vocabulary is None:
            return tuple(sorted(words))
        try:
            return tuple(sorted(words & {*self.vocabulary.read_text(encoding="utf-8").split()}))
        except (OSError, ValueError) as error:
            hint = "Name a text file with one word on each line."
            raise CheckpointError(f"the vocabulary cannot be read: {error}", str(self.vocabulary), hint) from error


def _counts(rows: Split, words: Words, classes: int) -> tuple[list[Counter[str]], list[int]]:
    """How often each class has each word, and how many rows it has."""
    counts = [Counter[str]() for _ in range(classes)]
    sizes = [0] * classes
    for text, label in zip(rows.texts, rows.labels, strict=True):
        counts[label].update(words.of(text))
        sizes[label] += 1
    return counts, sizes


@hookimpl
def backbones() -> list[type[Seedling]]:
    """The backbones of this plugin."""
    return [Seedling]
