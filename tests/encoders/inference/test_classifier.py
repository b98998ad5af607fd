"""A classifier that serves: safe to share between threads, and clear about a damaged folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from ftkit.encoders import Encoder, checkpoint
from ftkit.encoders.inference.classifier import DEVICE_BUDGET, EncoderClassifier, device_budget
from ftkit.encoders.tokenization import Tokenizer
from ftkit.errors import BundleError
from ftkit.testing.backbones import ODD_TEXTS, separable


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    read = checkpoint.read(tiny)
    folder = tmp_path_factory.mktemp("saved")
    EncoderClassifier(read.model(("bad", "good")), Tokenizer(read.tokenizer, read.limit), 64).save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_threads_get_the_answers_of_a_single_thread(saved):
    classifier = Encoder().load(saved)
    texts = [[text] for text in (*separable(40, 1).texts, *ODD_TEXTS)]
    alone = [classifier.probabilities(each) for each in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(classifier.probabilities, texts * 3))
    for index, probabilities in enumerate(together):
        np.testing.assert_allclose(probabilities, alone[index % len(texts)], atol=1e-6)


def test_a_loaded_classifier_reads_as_much_of_a_text_as_it_was_trained_on(saved):
    assert Encoder().load(saved).length == 64


def test_rows_for_which_the_memory_does_not_suffice_are_computed_in_smaller_calls(saved, monkeypatch):
    classifier = Encoder().load(saved)
    texts = [*separable(40, 1).texts]
    expected = classifier.probabilities(texts)
    calls, real = [], classifier.model.forward

    def forward(input_ids, **further):
        calls.append(len(input_ids))
        if len(input_ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(input_ids, **further)

    monkeypatch.setattr(classifier.model, "forward", forward)
    most = 3
    np.testing.assert_allclose(classifier.probabilities(texts), expected, atol=1e-6)
    assert max(calls) > most
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        classifier.probabilities(texts)


def test_a_call_on_a_device_takes_no_more_than_half_of_its_free_memory(saved):
    model = Encoder().load(saved).model
    assert device_budget(model, 64, free=64 << 30) == DEVICE_BUDGET
    assert device_budget(model, 64, free=0) == 64, "one row must always be tried"
    within = device_budget(model, 64, free=8 << 20)
    assert 64 < within < DEVICE_BUDGET
    assert device_budget(model, 64, free=16 << 20) in (2 * within, 2 * within + 1)
    assert device_budget(model, 512, free=8 << 20) < within, "scores of padded rows grow with their length"


def test_saved_files_name_no_path_of_this_machine(saved, tiny):
    for path in saved.iterdir():
        if path.suffix != ".safetensors":
            assert str(tiny.parent) not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_a_damaged_bundle(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match="cannot be loaded"):
        Encoder().load(folder)


def test_a_missing_folder_is_a_damaged_bundle(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        Encoder().load(tmp_path / "nowhere")


def test_a_pretrained_checkpoint_without_a_trained_head_is_no_classifier(tiny):
    with pytest.raises(BundleError, match="weights are missing"):
        Encoder().load(tiny)
