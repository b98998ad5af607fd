"""Engines of an encoder: the same answers as torch, in any shape, and clear errors when something is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from ftkit.encoders import Encoder
from ftkit.encoders.inference import classifier, engines, fast_tokenizer, runtimes
from ftkit.errors import BundleError, PluginError
from ftkit.serving.batcher import Batcher
from ftkit.testing.backbones import separable_data
from ftkit.testing.engines import EngineSuite

ALL = ("onnx", "onnx-int8", "openvino")


@dataclass(frozen=True, kw_only=True)
class TinyBert(Encoder):
    """The tiny checkpoint, with engines."""

    name = "tiny-bert"


class TestBertEngines(EngineSuite):
    tolerances: ClassVar = {"onnx": 1e-4}

    @pytest.fixture
    def component(self, tiny):
        return TinyBert(checkpoint=str(tiny), epochs=5, batch_size=8, learning_rate=3e-3, engines=ALL)

    @pytest.mark.parametrize("name", ["native", *ALL])
    def test_an_endpoint_answers_a_text_the_same_whatever_texts_come_with_it(self, exported, texts, name):
        """As docs/endpoint.md promises for every engine."""
        model = exported.model if name == "native" else exported.engines[name]
        expected = np.concatenate([model.probabilities([text]) for text in texts])
        batcher = Batcher(model)
        try:
            for seed in range(3):
                order = np.random.default_rng(seed).permutation(len(texts))
                requests = [order[start : start + 3] for start in range(0, len(order), 3)] + [order]
                futures = [batcher.submit([texts[index] for index in indices]) for indices in requests]
                for indices, future in zip(requests, futures, strict=True):
                    probabilities = future.result(60).probabilities
                    tolerance = 1e-5 if name != "onnx-int8" else 1e-3
                    np.testing.assert_allclose(probabilities, expected[indices], atol=tolerance)
        finally:
            batcher.close()


@pytest.fixture
def folder(exported_bert, tmp_path):
    return Path(shutil.copytree(exported_bert, tmp_path / "model"))


def test_an_engine_applies_the_temperature_and_reads_as_much_as_the_model(exported_bert):
    model, engine = Encoder().load(exported_bert), Encoder().load_engine(exported_bert, "onnx")
    assert (engine.temperature, engine.length) == (2.5, 64)
    texts = ["ship wave", "bread " * 300]
    np.testing.assert_allclose(engine.probabilities(texts), model.probabilities(texts), atol=1e-5)


def test_an_engine_answers_without_the_weights_of_torch(folder):
    expected = Encoder().load_engine(folder, "onnx").probabilities(["ship"])
    (folder / "model.safetensors").write_bytes(b"")
    np.testing.assert_array_equal(Encoder().load_engine(folder, "onnx").probabilities(["ship"]), expected)


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_damaged_engine_is_a_damaged_bundle(folder, content):
    path = folder / "engines" / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(BundleError, match="engine cannot be loaded") as caught:
        Encoder().load_engine(folder, "onnx")
    assert caught.value.where == str(path)


def test_the_engine_of_another_model_is_refused(folder):
    import onnx
    from onnx import TensorProto, helper

    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["logits"])],
        "other",
        [tensor("x", TensorProto.FLOAT, ["rows", 2])],
        [tensor("logits", TensorProto.FLOAT, ["rows", 2])],
    )
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(other, folder / "engines" / "onnx" / "model.onnx")
    with pytest.raises(BundleError, match="not of this model: it takes x and returns 2 logits"):
        Encoder().load_engine(folder, "onnx")


def test_an_engine_that_was_not_exported_is_named_with_the_existing_ones(folder):
    shutil.rmtree(folder / "engines" / "onnx-int8")
    with pytest.raises(BundleError, match="no engine 'onnx-int8'") as caught:
        Encoder().load_engine(folder, "onnx-int8")
    assert "native, onnx, openvino." in caught.value.hint


def test_engines_must_be_named_once():
    with pytest.raises(ValueError, match="engines must name each engine once"):
        Encoder(engines=("onnx", "onnx"))


def test_a_runtime_that_is_not_installed_is_named_and_the_others_work_without_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = engines.importlib.util.find_spec
    monkeypatch.setattr(
        engines.importlib.util, "find_spec", lambda name: None if name == "openvino" else find_spec(name)
    )
    with pytest.raises(PluginError, match="not installed: openvino"):
        Encoder().load_engine(folder, "openvino")
    with pytest.raises(PluginError, match="not installed: openvino"):
        Encoder(engines=("openvino",)).foresee(separable_data())
    Encoder(engines=("onnx",)).foresee(separable_data())
    assert Encoder().load_engine(folder, "onnx").probabilities(["ship"]).shape == (1, 2)


# ---------------------------------------------------------------------------------------------------- the runtimes


@pytest.mark.parametrize(("variable", "expected"), [("3", 3), ("0", None), ("many", None)])
def test_threads_are_those_of_the_process(monkeypatch, variable, expected):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert runtimes.threads() == expected if expected else runtimes.threads() >= 1
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 7))
    assert runtimes.threads() == 7


def test_the_telemetry_of_onnx_runtime_is_switched_off_unless_the_user_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable switches it off, so the library must contain the variable's name."""
    import onnxruntime

    libraries = Path(onnxruntime.__file__).parent.rglob("*.so*")
    assert any(b"ORT_DISABLE_TELEMETRY" in library.read_bytes() for library in libraries)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    runtimes.disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    runtimes.disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_opening_a_network_switches_telemetry_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with pytest.raises(Exception, match=r"none\.onnx"):
        runtimes.onnx_runtime(tmp_path / "none.onnx")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_openvino_is_opened_without_its_telemetry_package(exported_bert: Path, tmp_path: Path) -> None:
    """That package creates an identity in the user's home as soon as OpenVINO imports it."""
    import importlib.util

    spec = importlib.util.find_spec("openvino")
    assert spec
    assert spec.origin
    stub = Path(spec.origin).parent / "tools" / "ovc" / "telemetry_stub.py"
    assert stub.is_file(), "OpenVINO's own replacement for a missing package"
    code = """
import sys
from pathlib import Path
from ftkit.encoders.inference import runtimes
runtimes.openvino(Path(sys.argv[1]))
print([name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module is not None])
"""
    home = tmp_path / "home"
    home.mkdir()
    path = exported_bert / "engines" / "onnx" / "model.onnx"
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    process = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["[]"]
    assert list(home.iterdir()) == []


def test_openvino_is_refused_in_a_process_with_tcmalloc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_loaded_libraries", lambda: "7f00-7f01 r-xp /lib/libtcmalloc_minimal.so.4")
    with pytest.raises(PluginError, match="tcmalloc") as caught:
        Encoder().load_engine(folder, "openvino")
    assert "LD_PRELOAD" in caught.value.hint
    assert Encoder().load_engine(folder, "onnx").probabilities(["ship"]).shape == (1, 2)


def test_an_engine_of_several_labels_gives_each_a_probability_of_its_own(exported_bert, tmp_path):
    folder = shutil.copytree(exported_bert, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "problem_type": "multi_label_classification"}))
    (folder / "engines" / "words.json").unlink()  # it knows the digests of the files
    engine, native = engines.load(folder, "onnx"), classifier.load(folder)
    fast_tokenizer.write(folder)
    assert engine.task == native.task == engines.load(folder, "onnx").task == "multi-label"
    texts = ["the ship sails", "", "a song"]
    np.testing.assert_allclose(engine.probabilities(texts), native.probabilities(texts), atol=1e-4)
    single = engines.load(exported_bert, "onnx").probabilities(texts)
    assert not np.allclose(engine.probabilities(texts), single)
