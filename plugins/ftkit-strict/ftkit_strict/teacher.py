"""A statistical test of a distilled candidate against the model that it learned from, on the same rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ftkit.bundle import bundle as bundles
from ftkit.contracts import CHAMPION, TASKS, Contender, PromotionTest, Task, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import option_checks
from ftkit.evaluation.contenders import align_classes
from ftkit.plugins.calls import call
from ftkit_strict.champion import NoWorseThanChampion


@dataclass(frozen=True, kw_only=True)
class NearTeacher:
    """Passes when the test rows show that the candidate is worse than its teacher by less than a bound.

    The lower end of the one-sided interval of the difference must lie above -within; it is that of `no-worse-than-champion`, for
    every task. A candidate that was trained without a teacher is not judged.
    """

    name: ClassVar[str] = "near-teacher"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    within: float = 0.02
    """How much worse the candidate may be, in the metric's own unit."""
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    level: float = 0.95
    """Confidence of the one-sided interval whose lower end decides, above 0.5."""
    resamples: int = 2000
    """How often to resample the rows; for roc_auc the number of quantiles of the difference."""

    def __post_init__(self) -> None:
        option_checks.in_range("within", self.within, 0)
        option_checks.between_zero_and_one("level", self.level)
        if self.level <= 0.5:
            raise ValueError("level must be above 0.5")
        option_checks.at_least("resamples", self.resamples, 200)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Let the teacher answer the test rows, and compare both. Raises: BundleError where it is gone."""
        folder = _teacher(candidate)
        if folder is None:
            return Verdict(self.name, "not applicable", "the candidate was trained without a teacher")
        bundle = bundles.verify(folder)
        data = candidate.data
        answers = align_classes(bundle.probabilities(data.test.texts), bundle.classes, data.classes, data.task)
        teacher = replace(
            candidate,
            title="its teacher",
            bundle=folder,
            classifier=bundle.classifier,
            probabilities=answers,
            rule=bundle.rule,
            serving=None,
        )
        # The lower end of a one-sided interval is that of a two-sided one of less confidence.
        two_sided = 2 * self.level - 1
        test = NoWorseThanChampion(metric=self.metric, margin=self.within, level=two_sided, resamples=self.resamples)
        return replace(call(PromotionTest.check, test, candidate, teacher), test=self.name, figure=None)


def _teacher(candidate: Contender) -> Path | None:
    """The folder of the bundle that a candidate learned from, as its manifest says; None for one without a teacher."""
    manifest = candidate.bundle / bundles.MANIFEST
    backbone = json.loads(manifest.read_text(encoding="utf-8"))["backbone"] if manifest.is_file() else {}
    teacher = backbone.get("teacher")
    if teacher == CHAMPION and candidate.data.cache is not None:
        return candidate.data.cache / "teacher"
    return Path(teacher) if teacher else None
