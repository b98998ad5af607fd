"""A BERT in a bundle with its engines: a server process of each answers as this process does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("fastapi")

from ftkit_bert.backbones import BertBaseCased

from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record
from ftkit.contracts import Verdict
from ftkit.encoders import checkpoint
from ftkit.encoders.inference import fast_tokenizer
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.encoders.tokenization import Tokenizer
from ftkit.errors import BundleError
from ftkit.serving.server_process import ServerProcess
from ftkit.testing.backbones import ODD_TEXTS, tiny_bert
from ftkit.testing.bundles import toy_record

TEXTS = ["ship wave harbour", "bread", *(text for text in ODD_TEXTS if text.isprintable()), "guitar song " * 40]


COMPONENT = BertBaseCased(engines=("onnx", "onnx-int8", "openvino"))


def written(folder, model, export):
    return bundles.write(
        folder, model=model, classes=("bad", "good"), backbone={"use": COMPONENT.name},
        recipe='name = "bert"\n', card="# BERT\n", sample_texts=TEXTS[:2], about={"run": "bert"},
        export=export, engines=COMPONENT.engines,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    read = checkpoint.read(tiny_bert(folder / "checkpoint"))
    EncoderClassifier(read.model(("bad", "good")), Tokenizer(read.tokenizer, read.limit), 64).save(folder / "model")
    return written(folder / "bundle", folder / "model", COMPONENT.export)


@pytest.fixture(scope="module")
def older(bundle, tmp_path_factory):
    """The same bundle as earlier versions wrote it, without the note about its tokenizer."""
    folder = tmp_path_factory.mktemp("older")
    shutil.copytree(bundle.folder / "model", folder / "model")
    (folder / "model" / fast_tokenizer.FILE).unlink()
    return written(folder / "bundle", folder / "model", None)


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8", "openvino"])
def test_a_server_process_answers_as_this_one_does(bundle, engine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with ServerProcess(bundle.folder, threads=1, engine=engine) as served:
        alone = [served.invoke({"data": [{"text": text}], "scores": True}).value[0] for text in TEXTS]
        together = served.invoke({"data": [{"text": text} for text in TEXTS], "scores": True}).value
        assert served.describe()["engine"] == engine
    expected = bundle.classifier_of(engine).probabilities(TEXTS)
    for answers in (alone, together):
        probabilities = np.array([[row["scores"][name] for name in bundle.classes] for row in answers])
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(expected, bundle.probabilities(TEXTS), atol=1e-4 if engine == "onnx" else 0.05)


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8", "openvino"])
def test_a_server_of_an_engine_loads_neither_torch_nor_transformers_and_answers_as_with_them(
    bundle, older, engine, monkeypatch
):
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # every import is written to the server's log
    answers, loaded = [], []
    for served_bundle in (bundle, older):
        with ServerProcess(served_bundle.folder, threads=1, engine=engine) as served:
            responses = [served.invoke({"data": [{"text": text}], "scores": True}) for text in TEXTS]
            responses.append(served.invoke({"data": [{"text": text} for text in TEXTS], "scores": True}))
            loaded.append(set(re.findall(r"^import time:.*\|\s+(\w+)$", served.log(100_000), re.MULTILINE)))
            answers.append([(response.status, response.value) for response in responses])
    assert answers[0] == answers[1]
    assert {"tokenizers", "uvicorn", engine.partition("-")[0].replace("onnx", "onnxruntime")} <= loaded[0]
    assert not {"torch", "transformers"} & loaded[0]
    assert loaded[1] >= {"torch", "transformers"}


def test_a_process_that_chose_another_engine_has_not_loaded_torch(bundle, tmp_path):
    verdict = Verdict("parity", "passed", "", {promotion_record.judged(engine): 1.0 for engine in bundle.engines})
    folder = shutil.copytree(bundle.folder, tmp_path / "bundle")
    promotion_record.write(folder, replace(toy_record(bundle.hash), verdicts=(verdict,)))
    code = """
import sys
from pathlib import Path
from ftkit.serving.model_host import ModelHost
host = ModelHost(Path(sys.argv[1]), engine="auto")
host.load()
assert host.status.state == "ready", host.status
print(host.engine, len(host.timings), "torch" in sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert "measured in this process" not in process.stderr
    engine, measured, torch = process.stdout.split()
    assert measured == "4"
    assert torch == str(engine == "native")


@pytest.mark.parametrize("name", ["engines/onnx/model.onnx", fast_tokenizer.FILE])
def test_a_changed_engine_is_a_damaged_bundle(bundle, name):
    path = bundle.folder / "model" / name
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match=rf"model/{re.escape(name)}"):
            bundles.verify(bundle.folder)
    finally:
        path.write_bytes(content)
