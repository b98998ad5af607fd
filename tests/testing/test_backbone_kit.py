"""The conformance kit of backbones takes every honest kind of backbone, and says what is wrong with others."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from ftkit.contracts import Data, Report
from ftkit.testing.backbones import BackboneSuite
from ftkit.testing.separable import separable_data
from ftkit.testing.toys import ToyClassifier, ToyWords


@dataclass(frozen=True, kw_only=True)
class Steady(ToyWords):
    """Begins with the same weights whatever the seed is."""

    name: ClassVar[str] = "steady"
    learning_rate: float = 10.0
    """Step size of the gradient descent."""

    def fit(self, data: Data, seed: int, report: Report) -> ToyClassifier:
        return super().fit(data, 0, report)

    def resume(self, data: Data, seed: int, report: Report, checkpoints: Any) -> ToyClassifier:
        return super().resume(data, 0, report, checkpoints)


@dataclass(frozen=True, kw_only=True)
class Once(Steady):
    """Reports the last evaluation only."""

    name: ClassVar[str] = "once"
    fitted_at_once: ClassVar[bool] = True
    ends_early: ClassVar[bool] = False
    resume: ClassVar[None] = None  # type: ignore[assignment]

    def fit(self, data: Data, seed: int, report: Report) -> ToyClassifier:
        model = ToyWords(learning_rate=self.learning_rate).fit(data, self.drawn(seed), lambda *_, **__: True)
        report(1, model.probabilities(data.valid.texts))
        return model

    def drawn(self, seed: int) -> int:
        return 0


@dataclass(frozen=True, kw_only=True)
class OnceDrawn(Once):
    """The same, drawn by the seed."""

    name: ClassVar[str] = "once-drawn"

    def drawn(self, seed: int) -> int:
        return seed


@dataclass(frozen=True, kw_only=True)
class Undeclared(OnceDrawn):
    """Reports once and does not say so."""

    name: ClassVar[str] = "undeclared"
    fitted_at_once: ClassVar[bool] = False


class TestDrawn(BackboneSuite):
    @pytest.fixture
    def component(self) -> ToyWords:
        return ToyWords(learning_rate=10.0)


class TestSteady(BackboneSuite):
    seeded = False

    @pytest.fixture
    def component(self) -> Steady:
        return Steady()


class TestOnce(BackboneSuite):
    @pytest.fixture(params=[Once, OnceDrawn])
    def component(self, request: pytest.FixtureRequest) -> Once:
        once: Once = request.param()
        return once


SUITE = BackboneSuite()


def fitted(component: Any) -> SimpleNamespace:
    reports: list[Any] = []

    def report(epoch: int, probabilities: Any, **numbers: float) -> bool:
        reports.append((epoch, probabilities, numbers))
        return len(reports) == 1

    data = separable_data()
    return SimpleNamespace(reports=reports, classifier=component.fit(data, 3, report), data=data)


def test_a_seed_without_effect_is_found() -> None:
    with pytest.raises(AssertionError, match="another seed gave the same model"):
        SUITE.test_another_seed_gives_another_model_and_stop_trial_ends_training_at_once(Steady(), fitted(Steady()))


def test_one_evaluation_has_to_be_declared() -> None:
    check = SUITE.test_every_evaluation_is_reported_with_probabilities_of_the_validation_rows
    check(OnceDrawn(), fitted(OnceDrawn()))
    with pytest.raises(AssertionError, match="declare `fitted_at_once"):
        check(Undeclared(), fitted(Undeclared()))


@dataclass(frozen=True, kw_only=True)
class ThreeAlways(ToyWords):
    """Has three classes, whatever the data have."""

    name: ClassVar[str] = "three-always"

    def fit(self, data: Data, seed: int, report: Report) -> ToyClassifier:
        model = ToyClassifier(data.classes, np.zeros((256, 3)))
        report(1, model.probabilities(data.valid.texts))
        return model


def test_a_backbone_that_knows_three_classes_only_is_found(tmp_path: Any) -> None:
    with pytest.raises(AssertionError, match=r"of two classes it reports an array of shape \(24, 3\)"):
        SUITE.test_two_classes_are_learned(ThreeAlways(), tmp_path)
