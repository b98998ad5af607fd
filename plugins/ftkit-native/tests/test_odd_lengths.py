"""Rows of odd lengths get the same answer by every engine, for BERT and DeBERTa, alone and among others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("ftkit_native")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("openvino")

import ftkit_native
import torch

from ftkit.encoders import Encoder, checkpoint
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.encoders.tokenization import Tokenizer
from ftkit.testing.backbones import tiny_bert

LIMIT = 512
LENGTHS = (1, 2, 3, 15, 16, 17, 127, 128, 129, 511, 512)
TOLERANCES = {"onnx": 1e-4, "onnx-int8": 0.1, "openvino": 0.05, "packed-bf16": 0.03, "packed-int8": 0.1}


@dataclass(frozen=True, kw_only=True)
class AllEngines(Encoder):
    """A checkpoint with every engine."""

    name = "all-engines"


@pytest.fixture(scope="module", params=("bert", "deberta_v3"))
def folder(request, random_model, tmp_path_factory):
    try:
        ftkit_native.require()
    except ftkit_native.Unavailable as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp(request.param)
    read = checkpoint.read(tiny_bert(folder / "checkpoint"))
    torch.manual_seed(1)
    model = random_model(request.param)
    model.config.id2label = dict(enumerate("abc"))
    EncoderClassifier(model, Tokenizer(read.tokenizer, LIMIT), LIMIT).save(folder / "model")
    AllEngines(engines=tuple(TOLERANCES)).export(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(1)
    repeated = [np.full(length, 7) for length in (2, 33, LIMIT)]
    return [*(generator.integers(2, 100, length) for length in LENGTHS), *repeated]


@pytest.mark.parametrize("engine", TOLERANCES)
def test_every_engine_answers_rows_of_odd_lengths_as_torch_does(folder, rows, engine):
    expected = np.concatenate([Encoder().load(folder).computed([row]) for row in rows])
    opened = AllEngines().load_engine(folder, engine)
    alone = np.concatenate([opened.computed([row]) for row in rows])
    np.testing.assert_allclose(alone, expected, atol=TOLERANCES[engine])
    np.testing.assert_allclose(opened.computed(rows), alone, atol=1e-4)
    assert expected.std(axis=0).max() > TOLERANCES[engine] / 10, "answers that are all alike compare nothing"
