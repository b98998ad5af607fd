"""A linear model on n-grams as a backbone: fitted in seconds, and what an encoder must beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import Description, Task
from ftkit.contracts.backbones import ANY_LANGUAGE
from ftkit_linear.config import LinearConfig

if TYPE_CHECKING:
    from ftkit.contracts import Classifier, Data, Report


@dataclass(frozen=True, kw_only=True)
class Linear(LinearConfig):
    """Logistic regression on TF-IDF weights of word and character n-grams: fitted in seconds, in any language.

    It reads the whole of every text and no order beyond its n-grams. Fitting 200,000 rows of 100 words takes about 3 GB of
    memory; `max_rows` bounds it for larger data. Several labels are several independent models; the order of ordered
    classes is not used.

    Source: Joachims 1998, "Text Categorization with Support Vector Machines", on linear models of texts; Wang and Manning
    2012, "Baselines and Bigrams", on n-grams as a baseline that is hard to beat.
    """

    name: ClassVar[str] = "linear"
    tasks: ClassVar[tuple[Task, ...]] = ("single-label", "multi-label", "ordinal")
    reads_pairs: ClassVar[bool] = True
    fitted_at_once: ClassVar[bool] = True
    description: ClassVar[Description] = Description("linear", None, (ANY_LANGUAGE,), "", None)

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
