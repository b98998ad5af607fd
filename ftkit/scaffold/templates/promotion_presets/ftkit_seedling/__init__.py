"""A set of promotion tests for ftkit: what every model of a team must pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts import Contender, PromotionTest, Verdict
from ftkit.evaluation.promotion_tests import BeatsChampion, BeatsMajority, MetricFloor


@dataclass(frozen=True, kw_only=True)
class SeedlingExamples:
    """Passes when some texts get the class that they must get."""

    name: ClassVar[str] = "seedling-examples"
    examples: Mapping[str, str] = field(default_factory=dict)
    """The texts, and the class that each must get."""

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Classify the texts."""
        if not self.examples:
            return Verdict(self.name, "not applicable", "no examples are given")
        classes = candidate.data.classes
        answers = candidate.classifier.probabilities([*self.examples]).argmax(axis=1)
        wrong = [
            text for text, index in zip(self.examples, answers, strict=True) if classes[index] != self.examples[text]
        ]
        numbers = {"examples": len(self.examples), "wrong": len(wrong)}
        if wrong:
            sentence = f"{len(wrong)} of {len(self.examples)} examples are wrong, such as {wrong[0][:60]!r}"
            return Verdict(self.name, "failed", sentence, numbers)
        return Verdict(self.name, "passed", f"all {len(self.examples)} examples are right", numbers)


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Brings the tests that every model of our team must pass, more of them before a release."""

    name: ClassVar[str] = "seedling"
    stage: Literal["draft", "release"] = "release"
    """What the model is for: a draft is not compared with the champion."""
    percent: int = 70
    """The least value of the recipe's metric, in percent."""
    margin: float = 0.0
    """How much better than the majority class the model must be."""
    majority: bool = True
    """Whether to compare with the majority class."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """Texts, and the class that each must get."""
    empty: str = ""
    """The class that a text without words must get; by default any."""
    without: tuple[str, ...] = ()
    """Names of tests to leave out."""

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ValueError("percent must be from 0 to 100")
        if not self.tests():  # the tests check their own options
            raise ValueError("without leaves no test")

    def tests(self) -> Sequence[PromotionTest]:
        """The tests, in the order in which they run."""
        examples = {**self.examples, **({"": self.empty} if self.empty else {})}
        tests: list[PromotionTest] = [MetricFloor(floor=self.percent / 100)]
        if self.majority:
            tests.append(BeatsMajority(margin=self.margin))
        if examples:
            tests.append(SeedlingExamples(examples=examples))
        if self.stage == "release":
            tests.append(BeatsChampion())
        return [test for test in tests if test.name not in self.without]


@hookimpl
def promotion_tests() -> list[type[SeedlingExamples]]:
    """The preset's own test; some plugin must offer every test of a preset."""
    return [SeedlingExamples]


@hookimpl
def promotion_presets() -> list[type[Seedling]]:
    """The presets of this plugin."""
    return [Seedling]
