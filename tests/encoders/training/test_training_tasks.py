"""Encoders that learn several labels a text, or an order of classes: saved and loaded as any, and resumed to the same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ftkit import files
from ftkit.contracts import Task, TrialInterrupted
from ftkit.encoders import Encoder
from ftkit.encoders.training import ordinal_head, precision
from ftkit.encoders.training.losses import BinaryCrossEntropy, class_weights
from ftkit.evaluation import metrics
from ftkit.evaluation.decisions import targets
from ftkit.plugins.tasks import task_of
from ftkit.testing.checkpoints import InterruptingCheckpoints
from ftkit.testing.separable import CLASSES, separable, separable_data

OTHER_TASKS: tuple[Task, ...] = ("multi-label", "ordinal")


@dataclass(frozen=True, kw_only=True)
class TinyTasks(Encoder):
    """The tiny checkpoint."""

    name = "tiny-tasks"
    learning_rate: float = 3e-3
    batch_size: int = 4
    epochs: int = 5
    max_length: int = 32
    precision: precision.Precision = "fp32"
    calibration: Any = "temperature"


@pytest.fixture(scope="module", params=OTHER_TASKS)
def learned(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A training of each task, and the folder of its model."""
    task: Task = request.param
    encoder, data = TinyTasks(checkpoint=str(tiny)), separable_data(128, task=task)
    reports: list[np.ndarray] = []

    def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
        reports.append(probabilities)
        return True

    classifier = encoder.fit(data, 3, report)
    folder = tmp_path_factory.mktemp("model")
    classifier.save(folder)
    return SimpleNamespace(task=task, encoder=encoder, data=data, reports=reports, classifier=classifier, folder=folder)


def test_an_encoder_learns_each_task(learned: SimpleNamespace) -> None:
    labels = targets(learned.data.valid.labels, len(CLASSES), learned.task)
    metric = "micro_f1" if learned.task == "multi-label" else "quadratic_kappa"
    assert metrics.score(metric, learned.reports[-1], labels) > 0.85


def test_a_loaded_encoder_knows_its_task_and_answers_the_same(learned: SimpleNamespace) -> None:
    loaded = learned.encoder.load(learned.folder)
    texts = [*learned.data.valid.texts, ""]
    assert task_of(loaded) == learned.task
    np.testing.assert_allclose(
        loaded.probabilities(texts), learned.classifier.probabilities(texts), rtol=1e-5, atol=1e-6
    )


def test_a_model_is_a_plain_one_of_transformers(learned: SimpleNamespace) -> None:
    from transformers import pipeline

    head = load_file(learned.folder / "model.safetensors")["classifier.weight"]
    assert head.shape[0] == len(CLASSES)
    config = json.loads((learned.folder / "config.json").read_text())
    kind = "multi" if learned.task == "multi-label" else "single"
    assert config["problem_type"] == f"{kind}_label_classification"
    text = learned.data.valid.texts[5]
    answers = pipeline("text-classification", model=str(learned.folder), top_k=None, device="cpu")([text])[0]
    expected = replace_temperature(learned).probabilities([text])[0]
    assert {each["label"]: each["score"] for each in answers} == pytest.approx(
        dict(zip(CLASSES, expected, strict=True)), abs=1e-5
    )


def replace_temperature(learned: SimpleNamespace) -> Any:
    """The model as transformers knows it: without the temperature."""
    loaded = learned.encoder.load(learned.folder)
    loaded.temperature = 1.0
    return loaded


def test_an_interrupted_training_of_each_task_goes_on_to_the_same_files(
    learned: SimpleNamespace, tmp_path: Path
) -> None:
    checkpoints = InterruptingCheckpoints(tmp_path / "checkpoints")
    checkpoints.interrupt_after(60)
    with pytest.raises(TrialInterrupted):
        learned.encoder.resume(learned.data, 3, lambda *_, **__: True, checkpoints)
    learned.encoder.resume(learned.data, 3, lambda *_, **__: True, checkpoints).save(tmp_path / "model")
    for name in ("model.safetensors", "config.json"):
        assert files.sha256(tmp_path / "model" / name) == files.sha256(learned.folder / name), name


def test_the_head_of_an_order_is_of_rank_one_and_stays_the_same_as_a_linear_one() -> None:
    model = torch.nn.Module()
    model.base_model_prefix, model.config = "encoder", SimpleNamespace(num_labels=5, model_type="toy")  # type: ignore[assignment]
    model.classifier = torch.nn.Linear(16, 5)
    torch.nn.init.normal_(model.classifier.weight, std=0.02)  # as transformers does
    ordinal_head.learn_order(model)
    hidden = torch.randn(4, 16)
    logits = model.classifier(hidden)
    steps = logits.diff(dim=1) - logits.diff(dim=1)[:1]  # of each pair of neighbours, against the first row
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 4))
    assert logits.argmax(dim=1).tolist() == [2, 2, 2, 2]  # the middle, as long as nothing is learned
    ordinal_head.as_linear(model)
    assert isinstance(model.classifier, torch.nn.Linear)
    torch.testing.assert_close(model.classifier(hidden), logits)
    assert np.linalg.matrix_rank(model.classifier.weight.detach().numpy()) == 1


def test_places_of_classes_lie_around_zero() -> None:
    assert ordinal_head.places(3) == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert np.mean(np.square(ordinal_head.places(7))) == pytest.approx(1)


def test_the_loss_of_several_labels_is_the_mean_binary_one_with_weights_of_rows_that_have_them() -> None:
    labels, logits = np.array([[1, 0], [0, 0]]), torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    loss = BinaryCrossEntropy(labels, np.array([3.0, 1.0], dtype=np.float32), torch.device("cpu"), 0.0, None)
    rows = np.array([0, 1])
    sure = -np.log(1 / (1 + np.exp([-0.5, -1.0, 2.0, 0.0])))  # of each decision, the right one
    np.testing.assert_allclose(loss.of_rows(logits, rows), [(3 * sure[0] + sure[1]) / 2, sure[2:].mean()], rtol=1e-6)
    assert float(loss.weight(rows)) == 2


def test_balanced_weights_of_labels_are_rows_without_over_rows_with() -> None:
    data = replace(separable_data(), train=separable(8, 1, "multi-label"), task="multi-label")
    data = replace(data, train=replace(data.train, labels=((0,), (0, 1), (0,), (), (0,), (0,), (1,), (0,))))
    encoder = TinyTasks(checkpoint="x", class_weights="balanced")
    np.testing.assert_allclose(class_weights(encoder, data), [2 / 6, 6 / 2, 1000 * 8 / 1000])
