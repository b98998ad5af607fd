"""What every backbone must do, as tests to inherit: it learns, is repeatable by seed, and is the same after loading.

    @pytest.fixture(scope="module")
    def checkpoint(tmp_path_factory):
        return str(tiny_bert(tmp_path_factory.mktemp("tiny")))

    class TestModernBert(BackboneSuite):
        @pytest.fixture
        def component(self, checkpoint):
            return ModernBert(checkpoint=checkpoint, epochs=4, learning_rate=3e-3)

The component should be small, and be able to learn three classes that differ in their words. It evaluates at least twice, or declares
`fitted_at_once: ClassVar[bool] = True`. Tests share what was trained, as long as the component is the same: let its files be those of a
fixture of the module.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from ftkit import files
from ftkit.bundle import pickles
from ftkit.bundle.answers import wrong_probabilities
from ftkit.contracts import (
    TASKS,
    Backbone,
    Classifier,
    EndingEarly,
    EndTraining,
    FittedAtOnce,
    Resumable,
    StopTrial,
    Task,
    TrialInterrupted,
    capable,
)
from ftkit.plugins.tasks import known_tasks, task_of
from ftkit.testing.checkpoints import InterruptingCheckpoints
from ftkit.testing.components import ComponentSuite, Made
from ftkit.testing.separable import CLASSES, ODD_TEXTS, separable, separable_data
from ftkit.testing.tiny_checkpoints import tiny_bert

__all__ = ["CLASSES", "ODD_TEXTS", "BackboneSuite", "separable", "separable_data", "tiny_bert"]


class BackboneSuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "backbones"
    tolerance: ClassVar[float] = 0.05
    """How far rounding may move a probability."""
    seeded: ClassVar[bool] = True
    """Whether another seed gives another model, as it must unless the backbone draws nothing; not asked of one that is fitted at once."""

    @pytest.fixture
    def component(self) -> Backbone:
        """The backbone under test, small and quick to train."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls) -> Made:
        """What the tests of the class have trained."""
        return Made()

    @pytest.fixture
    def fitted(self, component: Backbone, trained: Made, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
        """A training whose report callback calls the first evaluation the best: reports, classifier, folder, data."""

        def fit() -> SimpleNamespace:
            reports: list[tuple[int, np.ndarray, dict[str, float]]] = []

            def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
                reports.append((epoch, probabilities, numbers))
                return len(reports) == 1

            data = separable_data(cache=tmp_path_factory.mktemp("cache"))
            classifier = component.fit(data, 3, report)
            folder = tmp_path_factory.mktemp("model")
            classifier.save(folder)
            loaded = type(component)().load(folder)
            return SimpleNamespace(reports=reports, classifier=classifier, folder=folder, data=data, loaded=loaded)

        return trained.of(component, fit)

    @pytest.fixture
    def loaded(self, fitted: SimpleNamespace) -> Classifier:
        """The model of that training, loaded from its folder by a component with the default options."""
        classifier: Classifier = fitted.loaded
        return classifier

    def test_learns_separable_classes(self, fitted: SimpleNamespace) -> None:
        assert fitted.reports, "`fit` never called `report`: call it after each evaluation of `data.valid`"
        predictions = fitted.reports[-1][1].argmax(axis=1)
        share = (predictions == np.asarray(fitted.data.valid.labels)).mean()
        assert share >= 0.9, f"it learned {share:.0%} of rows that three words decide: give the component more epochs"

    def test_every_evaluation_is_reported_with_probabilities_of_the_validation_rows(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        epochs = [epoch for epoch, _, _ in fitted.reports]
        assert epochs[:1] == [1], f"evaluations are counted from 1, not {epochs[:1]}"
        if _at_once(component):
            assert len(epochs) == 1, "it declares `fitted_at_once` and reports more than one evaluation"
        else:
            assert len(epochs) >= 2, (
                "it reports one evaluation: give the component more epochs, or declare `fitted_at_once: ClassVar[bool] = True`"
            )
        assert epochs == sorted(set(epochs)), f"the number of the evaluation must rise with every call: {epochs}"
        for epoch, probabilities, numbers in fitted.reports:
            wrong = wrong_probabilities(probabilities, len(fitted.data.valid), len(CLASSES))
            assert not wrong, f"evaluation {epoch} reports {wrong}"
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5, err_msg="rows must sum to 1")
            for name, number in numbers.items():
                assert isinstance(number, float), f"{name} is a {type(number).__name__}: report plain floats"
                assert np.isfinite(number), f"{name} of evaluation {epoch} is {number}"

    def test_the_weights_of_the_best_evaluation_are_returned(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        probabilities = fitted.classifier.probabilities(fitted.data.valid.texts)
        first, last = fitted.reports[0][1], fitted.reports[-1][1]
        best = "return the model of the evaluation for which `report` returned True last, here the first"
        np.testing.assert_allclose(probabilities, first, atol=self.tolerance, err_msg=best)
        if not _at_once(component):
            assert np.abs(probabilities - last).mean() > np.abs(probabilities - first).mean(), best

    def test_the_same_seed_gives_the_same_files_with_and_without_a_cache(
        self, component: Backbone, fitted: SimpleNamespace, tmp_path: Path
    ) -> None:
        evaluations: list[int] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            evaluations.append(epoch)
            return len(evaluations) == 1

        component.fit(separable_data(), 3, report).save(tmp_path)
        assert _hashes(tmp_path) == _hashes(fitted.folder), (
            "the same rows, options and seed gave other files: draw by the seed alone, and write no time and no path"
        )

    def test_another_seed_gives_another_model_and_stop_trial_ends_training_at_once(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        evaluations: list[np.ndarray] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            evaluations.append(probabilities)
            raise StopTrial("enough")

        with pytest.raises(StopTrial, match="enough"):
            component.fit(fitted.data, 4, report)
        assert len(evaluations) == 1, "it went on after `report` raised StopTrial: let it pass"
        if self.seeded and not _at_once(component):
            assert not np.allclose(evaluations[0], fitted.reports[0][1], atol=1e-6), (
                "another seed gave the same model: use the seed, or set `seeded = False` in the test's class if nothing is drawn"
            )

    def test_a_training_that_is_told_to_end_returns_its_best_model_so_far(
        self, component: Backbone, fitted: SimpleNamespace, tmp_path: Path
    ) -> None:
        if not (capable(component, EndingEarly) and component.ends_early):
            pytest.skip("it does not end early")
        reports: list[int] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            reports.append(epoch)
            raise EndTraining(best=True)

        component.fit(fitted.data, 3, report).save(tmp_path)
        assert len(reports) == 1, "it went on after the evaluation at which it was to end"
        assert _hashes(tmp_path) == _hashes(fitted.folder), "it returned another model than that of the best evaluation"

    def test_an_interrupted_training_goes_on_to_the_same_files(
        self, component: Backbone, fitted: SimpleNamespace, tmp_path: Path
    ) -> None:
        if not capable(component, Resumable):
            pytest.skip("it is not Resumable")
        reports: list[np.ndarray] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            reports.append(probabilities)
            if len(reports) == 1:
                checkpoints.interrupt_after(1)
            return len(reports) == 1

        checkpoints = InterruptingCheckpoints(tmp_path / "checkpoints")
        checkpoints.interrupt_after(3)
        for _ in range(2):  # in the first epoch, and at the first step after its evaluation
            with pytest.raises(TrialInterrupted):
                component.resume(fitted.data, 3, report, checkpoints)
        (tmp_path / "model").mkdir()
        component.resume(fitted.data, 3, report, checkpoints).save(tmp_path / "model")
        assert _hashes(tmp_path / "model") == _hashes(fitted.folder), (
            "the checkpoint lacks something that later steps need"
        )
        assert len(reports) == len(fitted.reports), (
            "an evaluation before the checkpoint was reported again, or one is missing"
        )
        for reported, (epoch, expected, _) in zip(reports, fitted.reports, strict=True):
            np.testing.assert_array_equal(
                reported, expected, err_msg=f"evaluation {epoch} differs after the interruption"
            )

    def test_a_loaded_model_gives_the_same_answers(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        np.testing.assert_allclose(
            loaded.probabilities(texts),
            fitted.classifier.probabilities(texts),
            rtol=1e-5,
            atol=1e-6,
            err_msg="`save` and `load` must keep all that `probabilities` needs; options may be others when it is loaded",
        )

    def test_class_names_are_saved(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        assert tuple(fitted.classifier.classes) == CLASSES, (
            "`classes` of the classifier are those of the data, in their order"
        )
        assert tuple(loaded.classes) == CLASSES, "`save` and `load` must keep the names of the classes"

    def test_saved_files_cannot_run_code(self, fitted: SimpleNamespace) -> None:
        saved = [path for path in fitted.folder.rglob("*") if path.is_file()]
        assert saved, "`save` wrote nothing"
        for path in saved:
            finding = pickles.finding(path)
            assert not finding, f"{path.name}: {finding}; use safetensors, JSON, or numpy without pickles"

    def test_every_text_gets_probabilities(self, loaded: Classifier) -> None:
        for text in ODD_TEXTS:
            wrong = wrong_probabilities(loaded.probabilities([text]), 1, len(CLASSES))
            assert not wrong, f"the text {text[:30]!r} is answered by {wrong}"

    def test_an_empty_request_gets_an_empty_answer(self, loaded: Classifier) -> None:
        shape = loaded.probabilities([]).shape
        assert shape == (0, len(CLASSES)), f"no texts are answered by an array of shape {shape}, not (0, classes)"

    def test_answers_are_in_the_order_of_the_texts(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        together = loaded.probabilities(texts)
        backwards = loaded.probabilities(texts[::-1])[::-1]
        alone = np.concatenate([loaded.probabilities([text]) for text in texts])
        tolerance = self.tolerance / 10
        np.testing.assert_allclose(
            backwards, together, atol=tolerance, err_msg="answers depend on the order of the texts"
        )
        np.testing.assert_allclose(alone, together, atol=tolerance, err_msg="an answer depends on the other texts")

    def test_two_classes_are_learned(self, component: Backbone, tmp_path: Path) -> None:
        data = separable_data(classes=2)
        reports: list[np.ndarray] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            reports.append(probabilities)
            return True

        classifier = component.fit(data, 3, report)
        wrong = wrong_probabilities(reports[-1], len(data.valid), 2)
        assert not wrong, f"of two classes it reports {wrong}"
        classifier.save(tmp_path)
        loaded = type(component)().load(tmp_path)
        assert tuple(loaded.classes) == data.classes, "the loaded model has other classes than the two of the data"
        answers = loaded.probabilities(data.valid.texts)
        np.testing.assert_allclose(
            answers, reports[-1], atol=self.tolerance, err_msg="the loaded model answers otherwise"
        )
        share = (answers.argmax(axis=1) == np.asarray(data.valid.labels)).mean()
        assert share >= 0.6, f"it learned {share:.0%} of two classes: are they in the order of the data?"

    @pytest.mark.parametrize("task", [each for each in TASKS if each != "single-label"])
    def test_every_task_that_it_knows_is_kept_and_answered(
        self, component: Backbone, task: Task, tmp_path: Path
    ) -> None:
        """For a backbone that declares further `tasks`; any other refuses them, which the recipe's loader does for it."""
        if task not in known_tasks(component):
            pytest.skip(f"it does not know {task} data")
        data = separable_data(24, task=task)
        component.fit(data, 3, lambda *_, **__: True).save(tmp_path)
        loaded = type(component)().load(tmp_path)
        assert task_of(loaded) == task, "the loaded model has forgotten its task: `Classifier.task`"
        assert tuple(loaded.classes) == CLASSES, "the loaded model has other classes"
        texts = [*data.valid.texts, *ODD_TEXTS]
        wrong = wrong_probabilities(loaded.probabilities(texts), len(texts), len(CLASSES), task)
        assert not wrong, f"a model of {task} data answers by {wrong}"


def _at_once(component: Backbone) -> bool:
    return capable(component, FittedAtOnce) and component.fitted_at_once


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
