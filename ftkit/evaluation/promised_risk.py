"""The promotion test of a model that leaves texts unanswered: how many, and whether it keeps what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.evaluation import verdicts
from ftkit.evaluation.contenders import decided, defect, labels_of
from ftkit.evaluation.option_checks import between_zero_and_one
from ftkit.formatting import count, percent


@dataclass(frozen=True, kw_only=True)
class SelectiveRisk:
    """Fails when the test rows contradict the promise that at most a share of the given answers is wrong.

    It is judged without being asked for where the recipe has `decision.abstain`. A text of several labels is answered rightly if it gets
    exactly its labels. A promise is contradicted when, if it were kept, so many wrong answers would come by chance with a probability
    below `alpha` (exact one-sided binomial test).
    """

    name: ClassVar[str] = "selective-risk"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    alpha: float = 0.05
    """The probability that a promise which is just kept counts as contradicted."""

    def __post_init__(self) -> None:
        between_zero_and_one("alpha", self.alpha)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Count the candidate's answers and the wrong ones among them."""
        import numpy as np
        from scipy.stats import binom

        rule = candidate.rule
        if rule is None or not rule.abstains:
            return Verdict(self.name, "not applicable", "the candidate answers every text")
        if reason := defect(candidate):
            return Verdict(self.name, "failed", f"the answers cannot be counted: {reason}")
        labels, outcome = labels_of(candidate), decided(candidate)
        truth = labels if labels.ndim == 2 else np.eye(outcome.answers.shape[1], dtype=np.int64)[labels]
        right = (outcome.answers == truth).all(axis=1)
        given, wrong = int((~outcome.unsure).sum()), int((~right & ~outcome.unsure).sum())
        numbers = {"coverage": given / len(labels), "answered": given, "wrong": wrong}
        sentence = f"{percent(given / len(labels))} of {count(len(labels), 'test row')} are answered"
        if not given:
            return Verdict(self.name, "failed", "none of the test rows is answered", verdicts.finite_numbers(numbers))
        numbers["risk"] = wrong / given
        numbers["unanswered_risk"] = float((~right)[outcome.unsure].mean()) if outcome.unsure.any() else 0.0
        sentence += f", {percent(wrong / given)} of them wrongly"
        if outcome.unsure.any():
            sentence += f"; of the others {percent(numbers['unanswered_risk'])} would have been"
        if rule.risk is None:
            sentence += "; no risk is promised"
            return Verdict(self.name, "not applicable", sentence, verdicts.finite_numbers(numbers))
        chance = float(binom.sf(wrong - 1, given, rule.risk))
        numbers |= {"promised": rule.risk, "chance": chance}
        kept = chance >= self.alpha
        sentence += f"; at most {percent(rule.risk)} is promised"
        if not kept:
            sentence += f", which so many wrong answers contradict (p = {chance:.2g})"
        return Verdict(self.name, verdicts.status(kept), sentence, verdicts.finite_numbers(numbers))
