"""A BERT in a bundle with its engines: served by each in a real server process, as in this one."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("fastapi")

from ftkit_bert.backbones import BertBaseCased

from ftkit import bundle as bundles
from ftkit.encoders import checkpoint
from ftkit.encoders.classifier import EncoderClassifier
from ftkit.encoders.tokens import Words
from ftkit.errors import BundleError
from ftkit.serving.process import ServedModel
from ftkit.testing.backbones import ODD_TEXTS, tiny_bert

TEXTS = ["ship wave harbour", "bread", *(text for text in ODD_TEXTS if text.isprintable()), "guitar song " * 40]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    read = checkpoint.read(tiny_bert(folder / "checkpoint"))
    EncoderClassifier(read.model(("bad", "good")), Words(read.tokenizer, read.limit), 64).save(folder / "model")
    component = BertBaseCased(engines=("onnx", "onnx-int8", "openvino"))
    return bundles.write(
        folder / "bundle", model=folder / "model", classes=("bad", "good"), backbone={"use": component.name},
        recipe='name = "bert"\n', card="# BERT\n", sample_texts=TEXTS[:2], about={"run": "bert"},
        export=component.export, engines=component.engines,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8", "openvino"])
def test_a_server_process_answers_as_this_one_does(bundle, engine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with ServedModel(bundle.folder, threads=1, engine=engine) as served:
        alone = [served.invoke({"data": [{"text": text}], "scores": True}).value[0] for text in TEXTS]
        together = served.invoke({"data": [{"text": text} for text in TEXTS], "scores": True}).value
        assert served.describe()["engine"] == engine
    wanted = bundle.classifier_of(engine).probabilities(TEXTS)
    for answers in (alone, together):
        found = np.array([[row["scores"][name] for name in bundle.classes] for row in answers])
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(wanted, bundle.probabilities(TEXTS), atol=1e-4 if engine == "onnx" else 0.05)


def test_a_changed_engine_is_a_damaged_bundle(bundle):
    path = bundle.folder / "model" / "engines" / "onnx" / "model.onnx"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match=r"model/engines/onnx/model\.onnx"):
            bundles.verify(bundle.folder)
    finally:
        path.write_bytes(content)
