"""What every backbone must do, as tests to inherit: it learns, is repeatable by seed, and is the same after loading.

    class TestModernBert(BackboneSuite):
        @pytest.fixture(scope="class")
        def component(self, tmp_path_factory):
            return ModernBert(checkpoint=str(tiny_bert(tmp_path_factory.mktemp("tiny"))), epochs=4, learning_rate=3e-3)

The component should be small, evaluate at least twice unless it is `FittedAtOnce`, and be able to learn three classes that differ in
their words.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
from ftkit.testing.separable import CLASSES, COMMON, ODD_TEXTS, WORDS, separable, separable_data

__all__ = ["CLASSES", "ODD_TEXTS", "BackboneSuite", "separable", "separable_data", "tiny_bert"]


def tiny_bert(folder: Path, vocabulary: Sequence[str] | None = None, *, width: int = 32, layers: int = 2) -> Path:
    """Write a BERT checkpoint with random weights, small enough to train in a second, and return its folder.

    `vocabulary` is that of a WordPiece tokenizer; by default it holds the words of the separable texts and single letters.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    if vocabulary is None:
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        words = [*COMMON, *(word for group in WORDS for word in group)]
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary = list(dict.fromkeys([*special, *words, *letters, *(f"##{letter}" for letter in letters)]))
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(vocabulary)}, do_lower_case=False, model_max_length=128
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class BackboneSuite:
    """Inherit it and override the fixture `component`; `tolerance` is how far rounding may move a probability."""

    tolerance = 0.05

    @pytest.fixture(scope="class")
    def component(self) -> Backbone:
        """The backbone under test, small and quick to train."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(scope="class")
    def fitted(self, component: Backbone, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
        """A training whose report callback calls the first evaluation the best: reports, classifier, folder, data."""
        reports: list[tuple[int, np.ndarray, dict[str, float]]] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            reports.append((epoch, probabilities, numbers))
            return len(reports) == 1

        cache = tmp_path_factory.mktemp("cache")
        data = separable_data(cache=cache)
        classifier = component.fit(data, 3, report)
        folder = tmp_path_factory.mktemp("model")
        classifier.save(folder)
        return SimpleNamespace(reports=reports, classifier=classifier, folder=folder, data=data)

    @pytest.fixture(scope="class")
    def loaded(self, component: Backbone, fitted: SimpleNamespace) -> Classifier:
        return type(component)().load(fitted.folder)

    def test_the_component_is_a_frozen_value_that_can_be_pickled(self, component: Backbone) -> None:
        assert isinstance(component, Backbone)
        assert isinstance(component.name, str)
        component_class: Any = type(component)
        assert component_class.__dataclass_params__.frozen
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # bytes from this line

    def test_importing_it_loads_neither_torch_nor_transformers(self, component: Any) -> None:
        module = type(component).__module__
        file = Path(sys.modules[module].__file__ or "")
        if file.name.startswith("test_"):
            pytest.skip("it is defined in a test")
        depth = module.count(".") + (file.name == "__init__.py")
        path = os.pathsep.join([str(file.parents[depth]), *filter(None, [os.environ.get("PYTHONPATH")])])
        code = f"import sys, {module}; print([name for name in ('torch', 'transformers') if name in sys.modules])"
        process = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
        )
        assert process.returncode == 0
        assert process.stdout.strip() == "[]"

    def test_the_component_has_a_docstring(self, component: Any) -> None:
        assert (type(component).__doc__ or "").strip()
        assert not (type(component).__doc__ or "").startswith(f"{type(component).__name__}(")

    def test_learns_separable_classes(self, fitted: SimpleNamespace) -> None:
        predictions = fitted.reports[-1][1].argmax(axis=1)
        assert (predictions == np.asarray(fitted.data.valid.labels)).mean() >= 0.9

    def test_every_evaluation_is_reported_with_probabilities_of_the_validation_rows(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        epochs = [epoch for epoch, _, _ in fitted.reports]
        assert epochs[0] == 1
        assert len(epochs) == 1 if _at_once(component) else len(epochs) >= 2
        assert epochs == sorted(set(epochs))
        for _, probabilities, numbers in fitted.reports:
            assert probabilities.shape == (len(fitted.data.valid), len(CLASSES))
            assert probabilities.min() >= 0
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
            assert all(isinstance(number, float) and np.isfinite(number) for number in numbers.values())

    def test_the_weights_of_the_best_evaluation_are_returned(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        probabilities = fitted.classifier.probabilities(fitted.data.valid.texts)
        first, last = fitted.reports[0][1], fitted.reports[-1][1]
        np.testing.assert_allclose(probabilities, first, atol=self.tolerance)
        assert _at_once(component) or np.abs(probabilities - last).mean() > np.abs(probabilities - first).mean()

    def test_the_same_seed_gives_the_same_files_with_and_without_a_cache(
        self, component: Backbone, fitted: SimpleNamespace, tmp_path: Path
    ) -> None:
        evaluations: list[int] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            evaluations.append(epoch)
            return len(evaluations) == 1

        component.fit(separable_data(), 3, report).save(tmp_path)
        assert _hashes(tmp_path) == _hashes(fitted.folder)

    def test_another_seed_gives_another_model_unless_it_is_fitted_at_once_and_stop_trial_ends_training_at_once(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        evaluations: list[np.ndarray] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            evaluations.append(probabilities)
            raise StopTrial("enough")

        with pytest.raises(StopTrial, match="enough"):
            component.fit(fitted.data, 4, report)
        assert len(evaluations) == 1
        same = np.allclose(evaluations[0], fitted.reports[0][1], atol=1e-6)
        assert same == _at_once(component)

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
        assert _hashes(tmp_path) == _hashes(fitted.folder)

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
        component.resume(fitted.data, 3, report, checkpoints).save(files_of_model := tmp_path / "model")
        assert _hashes(files_of_model) == _hashes(fitted.folder)
        assert len(reports) == len(fitted.reports)
        for reported, (_, expected, _) in zip(reports, fitted.reports, strict=True):
            np.testing.assert_array_equal(reported, expected)

    def test_a_loaded_model_gives_the_same_answers(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        np.testing.assert_allclose(
            loaded.probabilities(texts), fitted.classifier.probabilities(texts), rtol=1e-5, atol=1e-6
        )

    def test_class_names_are_saved(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        assert tuple(fitted.classifier.classes) == CLASSES
        assert tuple(loaded.classes) == CLASSES

    def test_saved_files_cannot_run_code(self, fitted: SimpleNamespace) -> None:
        saved = [path for path in fitted.folder.rglob("*") if path.is_file()]
        assert any(path.suffix in {".safetensors", ".npz"} for path in saved)
        for path in saved:
            assert path.suffix in {".safetensors", ".npz", ".json", ".txt", ".model", ".md"}, path.name
            assert not pickles.finding(path), path.name

    def test_every_text_gets_probabilities(self, loaded: Classifier) -> None:
        probabilities = loaded.probabilities(list(ODD_TEXTS))
        assert probabilities.shape == (len(ODD_TEXTS), len(CLASSES))
        assert np.isfinite(probabilities).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)

    def test_an_empty_request_gets_an_empty_answer(self, loaded: Classifier) -> None:
        assert loaded.probabilities([]).shape == (0, len(CLASSES))

    def test_answers_are_in_the_order_of_the_texts(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        together = loaded.probabilities(texts)
        backwards = loaded.probabilities(texts[::-1])[::-1]
        alone = np.concatenate([loaded.probabilities([text]) for text in texts])
        np.testing.assert_allclose(backwards, together, atol=self.tolerance / 10)
        np.testing.assert_allclose(alone, together, atol=self.tolerance / 10)

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
        assert task_of(loaded) == task
        assert tuple(loaded.classes) == CLASSES
        texts = [*data.valid.texts, *ODD_TEXTS]
        assert not wrong_probabilities(loaded.probabilities(texts), len(texts), len(CLASSES), task)

    def test_options_can_be_replaced_and_not_assigned(self, component: Any) -> None:
        field = next(each for each in dataclasses.fields(component) if isinstance(getattr(component, each.name), int))
        copy = dataclasses.replace(component, **{field.name: getattr(component, field.name)})
        assert copy == component
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(component, field.name, 7)


def _at_once(component: Backbone) -> bool:
    return capable(component, FittedAtOnce) and component.fitted_at_once


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
