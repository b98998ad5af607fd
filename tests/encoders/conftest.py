"""Checkpoints and models with random weights, small enough to train and to export in a second."""

from __future__ import annotations

import pytest

from ftkit.testing.backbones import tiny_bert


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def exported_bert(tiny, tmp_path_factory):
    """The folder of an untrained BERT of two classes with all engines: no test may change it."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from ftkit.encoders import checkpoint
    from ftkit.encoders.export import onnx
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer

    folder = tmp_path_factory.mktemp("exported")
    read = checkpoint.read(tiny)
    tokenizer = Tokenizer(read.tokenizer, read.limit)
    EncoderClassifier(read.model(("bad", "good")), tokenizer, 64, temperature=2.5).save(folder)
    onnx.export(folder, ("onnx", "onnx-int8", "openvino"))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    # The models are tiny, and tests may run side by side: several threads would only wait for each other.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
