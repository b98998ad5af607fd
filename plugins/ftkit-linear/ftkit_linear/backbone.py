"""A linear model on n-grams as a backbone: fitted in seconds, and what an encoder must beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit.contracts import Description, Task
from ftkit.contracts.backbones import ANY_LANGUAGE

if TYPE_CHECKING:
    from ftkit.contracts import Classifier, Data, Report


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Logistic regression on TF-IDF weights of word and character n-grams: fitted in seconds, in any language.

    It reads the whole of every text and no order beyond its n-grams. Fitting 200,000 rows of 100 words takes about 3 GB of
    memory; `max_rows` bounds it for larger data. Several labels are several independent models; the order of ordered
    classes is not used.

    Source: Joachims 1998, "Text Categorization with Support Vector Machines", on linear models of texts; Wang and Manning
    2012, "Baselines and Bigrams", on n-grams as a baseline that is hard to beat.
    """

    name: ClassVar[str] = "linear"
    tasks: ClassVar[tuple[Task, ...]] = ("single-label", "multi-label", "ordinal")
    fitted_at_once: ClassVar[bool] = True
    description: ClassVar[Description] = Description("linear", None, (ANY_LANGUAGE,), "", None)
    words: int = 2
    """Words of the longest word n-gram; 0 for none."""
    characters: int = 5
    """Characters of the longest character n-gram, the shortest has 2; 0 for none."""
    min_df: int = 2
    """Training rows that an n-gram must stand in to be used."""
    max_features: int = 100_000
    """Most n-grams of words, and most of characters: those that stand in the most rows."""
    C: float = 4.0
    """Inverse strength of the L2 penalty: the smaller, the smaller the weights."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight of each class in the loss: equal, or inverse to its number of training rows."""
    max_iterations: int = 100
    """Most iterations of the solver (Newton's method with conjugate gradients)."""
    max_rows: int = 200_000
    """Most training rows that are used, evenly spaced within each class: it bounds time and memory."""

    def __post_init__(self) -> None:
        for field in ("words", "characters"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative")
        if not self.words and self.characters < 2:
            raise ValueError("characters must be at least 2 where words is 0: there would be no n-grams")
        for field in ("min_df", "max_features", "max_iterations"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1")
        if self.max_rows < 100:
            raise ValueError("max_rows must be at least 100")
        if not 0 < self.C < float("inf"):
            raise ValueError("C must be a number above 0")

    def fit(self, data: Data, seed: int, report: Report) -> Classifier:
        """Fit on `data.train` and report once; the seed changes nothing. StopTrial passes through."""
        from ftkit_linear import fitting

        classifier = fitting.fit(self, data)
        report(1, classifier.probabilities(data.valid.texts))
        return classifier

    def load(self, folder: Path) -> Classifier:
        """Read back what `save` wrote. Raises: BundleError."""
        from ftkit_linear import classifier

        return classifier.load(folder)
