"""A real classifier so small that a kit can put it behind an endpoint in half a second: naive Bayes over words.

Server processes find it as they find any backbone: `install` makes a distribution with an entry point in a folder,
which belongs on PYTHONPATH.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ftkit import bundle, hookimpl
from ftkit.bundle import Bundle
from ftkit.contracts import Data, Report
from ftkit.errors import BundleError

if TYPE_CHECKING:
    from ftkit.contracts import Probabilities

TEXTS = ("it broke and it is awful", "awful awful and sad", "it is great and it works", "great great and happy")
LABELS = (0, 0, 1, 1)


class WordsClassifier:
    """How often each word was seen in each class."""

    def __init__(self, classes: tuple[str, ...], counts: Sequence[dict[str, int]]) -> None:
        self.classes = classes
        self.counts = counts

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), of a multinomial naive Bayes with add-one smoothing."""
        import numpy as np

        known = len(set().union(*self.counts)) + 1
        scores = np.array(
            [
                [
                    sum(math.log((seen.get(word, 0) + 1) / (sum(seen.values()) + known)) for word in text.split())
                    for seen in self.counts
                ]
                for text in texts
            ]
        ).reshape(len(texts), len(self.classes))
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write words.json."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"classes": self.classes, "counts": self.counts})
        (folder / "words.json").write_text(text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Words:
    """Naive Bayes over words: for kits and examples."""

    name: ClassVar[str] = "words"

    def fit(self, data: Data, seed: int, report: Report) -> WordsClassifier:
        """Count words; one evaluation."""
        classifier = count(data.train.texts, data.train.labels, data.classes)
        report(1, classifier.probabilities(data.valid.texts))
        return classifier

    def load(self, folder: Path) -> WordsClassifier:
        """Read words.json. Raises: BundleError."""
        try:
            saved = json.loads((folder / "words.json").read_text(encoding="utf-8"))
            return WordsClassifier(tuple(saved["classes"]), saved["counts"])
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"the words cannot be read: {error}", str(folder)) from error


@hookimpl
def backbones() -> list[type[Words]]:
    """This module is the plugin."""
    return [Words]


def count(texts: Sequence[str], labels: Sequence[int], classes: tuple[str, ...]) -> WordsClassifier:
    """A classifier that has seen these texts."""
    counts: list[Counter[str]] = [Counter() for _ in classes]
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(text.split())
    return WordsClassifier(classes, counts)


def make_bundle(folder: Path, classes: tuple[str, str] = ("bad", "good")) -> Bundle:
    """A bundle at `folder` that tells awful texts from great ones, by these names."""
    model = folder.with_name(f"{folder.name}-model")
    count(TEXTS, LABELS, classes).save(model)
    return bundle.write(
        folder,
        model=model,
        classes=classes,
        backbone={"use": "words"},
        recipe='name = "words"\n',
        card="# Words\n",
        sample_texts=TEXTS,
        about={"run": "kit"},
    )


def install(folder: Path, module: str = "ftkit.testing.words") -> Path:
    """Make a distribution in `folder` that registers a module as an ftkit plugin; returns the folder for PYTHONPATH."""
    info = folder / f"{module.replace('.', '_')}-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module.replace('.', '-')}\nVersion: 0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(f"[ftkit]\n{module.rsplit('.', 1)[-1]} = {module}\n", encoding="utf-8")
    return folder
