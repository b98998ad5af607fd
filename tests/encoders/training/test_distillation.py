"""A model that learns from another one: the loss, the texts without labels, and teachers that are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ftkit.bundle import bundle as bundles
from ftkit.contracts import CHAMPION, Split
from ftkit.encoders import Encoder
from ftkit.encoders.training import distillation
from ftkit.encoders.training.distillation import DistillationLoss
from ftkit.encoders.training.losses import CrossEntropy
from ftkit.errors import DataError
from ftkit.testing.backbones import separable, separable_data


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rate: float = 3e-3
    batch_size: int = 8
    epochs: int = 4
    precision: str = "fp32"


@pytest.fixture(scope="module")
def encoder(tiny):
    return Tiny(checkpoint=str(tiny))


@pytest.fixture(scope="module")
def teacher(encoder, tmp_path_factory):
    """The bundle of a model that has learned the three classes, which are in another order in it."""
    folder, data = tmp_path_factory.mktemp("teacher"), separable_data()
    turned = replace(data, classes=data.classes[::-1], **{
        name: replace(split, labels=tuple(2 - label for label in split.labels))
        for name, split in (("train", data.train), ("valid", data.valid))
    })  # fmt: skip
    replace(encoder, epochs=8).fit(turned, 1, lambda *_, **__: True).save(folder / "model")
    return bundles.write(
        folder / "bundle", model=folder / "model", classes=turned.classes, backbone={"use": "minilm"}, recipe="",
        card="", sample_texts=["a text"], about={},
    )  # fmt: skip


ROWS = np.arange(5)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_loss_is_that_of_the_labels_and_of_the_teacher_in_their_shares(weight):
    torch.manual_seed(0)
    logits, answers = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3).softmax(1)
    hard = CrossEntropy([0, 2, 1], np.array([1, 2, 3], dtype=np.float32), torch.device("cpu"))
    loss = DistillationLoss(hard, 3, answers, False, weight, 2.0)
    own, wanted = (logits / 2).log_softmax(1), (answers.log() / 2).softmax(1)
    expected = weight * 4 * (wanted * (wanted.log() - own)).sum(1)
    expected[:3] += (1 - weight) * hard.of_rows(logits[:3], ROWS[:3])
    computed = loss.of_rows(logits, ROWS)
    torch.testing.assert_close(computed, expected)
    torch.testing.assert_close(loss.of_rows(logits[3:], ROWS[3:]), expected[3:])
    assert loss.weight(ROWS) == 5
    computed.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("several", [False, True])
def test_a_model_that_answers_as_its_teacher_has_no_gradient_of_it(several):
    answers = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    inside = answers.clamp(1e-7, 1 - 1e-7)
    logits = (inside.logit() if several else inside.log()).requires_grad_()
    loss = DistillationLoss(
        CrossEntropy([], np.ones(3, np.float32), torch.device("cpu")), 0, answers, several, 1.0, 2.0
    )
    loss.of_rows(logits, ROWS[:2]).sum().backward()
    assert logits.grad.abs().max() < 1e-6


def test_a_student_learns_from_texts_without_labels_what_its_own_rows_do_not_tell(encoder, teacher, tmp_path):
    rows = separable(60, 5)
    (tmp_path / "more.csv").write_text("body\n" + "\n".join([*rows.texts, ""]))
    poor = replace(separable_data(cache=tmp_path), train=Split(("the old one", "and they all", "very new"), (0, 1, 2)))
    student = replace(
        encoder, teacher=str(teacher.folder), unlabelled=tmp_path / "more.csv", unlabelled_text=("body",), epochs=8
    )
    student.foresee(poor)
    classifier = student.fit(poor, 1, lambda *_, **__: True)
    right = classifier.probabilities(poor.valid.texts).argmax(1) == np.asarray(poor.valid.labels)
    assert right.mean() >= 0.9
    assert len([*tmp_path.glob("answers-*.npy")]) == 1


def test_the_teacher_answers_once_in_a_run_and_in_the_order_of_the_data(encoder, teacher, tmp_path, monkeypatch):
    data = separable_data(rows=12, cache=tmp_path)
    student = replace(encoder, teacher=str(teacher.folder))
    answers = distillation.teacher_answers(student, data, ["a further text"])
    assert answers.shape == (13, 3)
    assert (answers[:12].argmax(1) == np.asarray(data.train.labels)).mean() >= 0.9
    monkeypatch.setattr(bundles.Bundle, "probabilities", lambda *_: pytest.fail("it answered again"))
    np.testing.assert_array_equal(distillation.teacher_answers(student, data, ["a further text"]), answers)


def test_rows_of_several_splits_are_numbered_through():
    class Numbers:
        def __init__(self, *numbers):
            self.numbers = numbers
            self.lengths = self.windows = np.asarray(numbers)

        def __len__(self):
            return len(self.numbers)

        def rows(self, indices):
            return [self.numbers[index] for index in indices]

    joined = distillation.JoinedRows([Numbers(5, 6), Numbers(7, 8, 9)])
    assert len(joined) == 5
    assert joined.rows(np.array([4, 0, 2, 1])) == [9, 5, 7, 6]
    assert joined.lengths.tolist() == [5, 6, 7, 8, 9]


def test_a_teacher_of_other_classes_is_refused_before_training(encoder, teacher):
    student = replace(encoder, teacher=str(teacher.folder))
    other = replace(separable_data(), classes=("at sea", "Küche", "stars"))
    with pytest.raises(DataError, match="stars"):
        student.foresee(other)
    student.foresee(separable_data())


def test_a_champion_that_is_not_fetched_is_an_error_of_the_training_and_not_of_the_plan(encoder, teacher, tmp_path):
    student, data = replace(encoder, teacher=CHAMPION), separable_data(rows=12, cache=tmp_path)
    student.foresee(data)
    with pytest.raises(DataError, match="champion"):
        distillation.teacher_answers(student, data, [])
    (tmp_path / distillation.TEACHER).symlink_to(teacher.folder)
    assert distillation.teacher_answers(student, data, []).shape == (12, 3)


def test_texts_without_labels_need_a_teacher_and_a_file_with_texts(encoder, teacher, tmp_path):
    with pytest.raises(ValueError, match="unlabelled needs a teacher"):
        replace(encoder, unlabelled=Path("more.txt"))
    (tmp_path / "lines.txt").write_text("one text\n\n another \n")
    student = replace(encoder, teacher=str(teacher.folder), unlabelled=tmp_path / "lines.txt")
    assert distillation.unlabelled_texts(student) == ["one text", "another"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="no text"):
        replace(student, unlabelled=tmp_path / "empty.txt").foresee(separable_data())
