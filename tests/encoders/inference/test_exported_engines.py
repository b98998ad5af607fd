"""Encoders exported to ONNX Runtime: the same answers, in any shape, and clear words when something is missing."""

from __future__ import annotations

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

from ftkit.encoders import Encoder, checkpoint
from ftkit.encoders.export import onnx as export
from ftkit.encoders.inference import engines, runtimes
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.encoders.tokenization import Words
from ftkit.errors import BundleError, PluginError, StageError
from ftkit.serving.batcher import Batcher
from ftkit.testing.backbones import CLASSES, ODD_TEXTS, separable, separable_data
from ftkit.testing.engines import EngineSuite

ALL = ("onnx", "onnx-int8", "openvino")


@dataclass(frozen=True, kw_only=True)
class TinyBert(Encoder):
    name = "tiny-bert"


class TestBertEngines(EngineSuite):
    tolerances: ClassVar = {"onnx": 1e-4}

    @pytest.fixture(scope="class")
    def component(self, tiny):
        return TinyBert(checkpoint=str(tiny), epochs=5, batch_size=8, learning_rate=3e-3, engines=ALL)

    @pytest.mark.parametrize("name", ["native", *ALL])
    def test_an_endpoint_answers_a_text_alike_in_whatever_company_it_comes(self, exported, texts, name):
        """What docs/endpoint.md promises, of every engine."""
        model = exported.model if name == "native" else exported.engines[name]
        wanted = np.concatenate([model.probabilities([text]) for text in texts])
        batcher = Batcher(model)
        try:
            for seed in range(3):
                order = np.random.default_rng(seed).permutation(len(texts))
                asked = [order[at : at + 3] for at in range(0, len(order), 3)] + [order]
                given = [batcher.submit([texts[index] for index in each]) for each in asked]
                for indices, future in zip(asked, given, strict=True):
                    found = future.result(60).probabilities
                    np.testing.assert_allclose(found, wanted[indices], atol=1e-5 if name != "onnx-int8" else 1e-3)
        finally:
            batcher.close()


@pytest.fixture(scope="module")
def bert(tiny, tmp_path_factory):
    """An untrained BERT with its engines: what damage and settings are tried out on."""
    folder = tmp_path_factory.mktemp("bert")
    read = checkpoint.read(tiny)
    EncoderClassifier(read.model(("bad", "good")), Words(read.tokenizer, read.limit), 64, temperature=2.5).save(folder)
    export.export(folder, ALL)
    return folder


@pytest.fixture
def folder(bert, tmp_path):
    return Path(shutil.copytree(bert, tmp_path / "model"))


def test_a_temperature_is_applied_and_no_more_is_read_than_was_trained_on(bert):
    model, engine = Encoder().load(bert), Encoder().load_engine(bert, "onnx")
    assert (engine.temperature, engine.length) == (2.5, 64)
    texts = ["ship wave", "bread " * 300]
    np.testing.assert_allclose(engine.probabilities(texts), model.probabilities(texts), atol=1e-5)


def test_the_network_of_torch_is_not_needed_to_answer(folder):
    wanted = Encoder().load_engine(folder, "onnx").probabilities(["ship"])
    (folder / "model.safetensors").write_bytes(b"")
    np.testing.assert_array_equal(Encoder().load_engine(folder, "onnx").probabilities(["ship"]), wanted)


def deberta(size):
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        **size, relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7,
        pooler_hidden_size=size["hidden_size"], pooler_dropout=0,
    )  # fmt: skip
    return DebertaV2ForSequenceClassification(config)


def modernbert(size):
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    special = {"cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    return ModernBertForSequenceClassification(ModernBertConfig(**size, **special, local_attention=16))


@pytest.mark.parametrize("architecture", [deberta, modernbert])
def test_other_architectures_answer_alike_in_lengths_the_exporter_has_not_seen(architecture, tiny, tmp_path):
    import torch

    words = Words(checkpoint.read(tiny).tokenizer, 128)
    size = {
        "vocab_size": len(words.tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 128, "initializer_range": 0.2, "pad_token_id": 0,
        "id2label": dict(enumerate(CLASSES)), "label2id": {name: index for index, name in enumerate(CLASSES)},
    }  # fmt: skip
    torch.manual_seed(1)
    EncoderClassifier(architecture(size), words, 128).save(tmp_path)
    export.export(tmp_path, ALL)
    texts = [*separable(40, 3).texts, "ship " * 100, "sail wave " * 30, *ODD_TEXTS]
    wanted = Encoder().load(tmp_path).probabilities(texts)
    for name, tolerance in (("onnx", 1e-4), ("onnx-int8", 0.1), ("openvino", 0.1)):
        engine = Encoder().load_engine(tmp_path, name)
        found = engine.probabilities(texts)
        np.testing.assert_allclose(found, wanted, atol=tolerance, err_msg=name)
        alone = np.concatenate([engine.probabilities([text]) for text in texts])
        np.testing.assert_allclose(alone, found, atol=1e-4, err_msg=name)


def test_an_export_that_answers_otherwise_than_its_network_is_not_kept(folder):
    model = export._model(folder)
    model.classifier.bias.data += 1.0
    with pytest.raises(StageError, match="away from the model's") as caught:
        export._compare(model, folder / "engines" / "onnx" / "model.onnx")
    assert "engines = []" in caught.value.hint


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
    with pytest.raises(BundleError, match="not of this model"):
        Encoder().load_engine(folder, "onnx")


def test_an_engine_that_was_not_exported_is_named_with_those_there_are(folder):
    shutil.rmtree(folder / "engines" / "onnx-int8")
    with pytest.raises(BundleError, match="no engine 'onnx-int8'") as caught:
        Encoder().load_engine(folder, "onnx-int8")
    assert "native, onnx, openvino." in caught.value.hint


def test_a_missing_package_is_named_before_anything_is_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # what Python takes for a package that is not there
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(PluginError, match="not installed: onnxruntime") as caught:
        Encoder(engines=("onnx",)).foresee(separable_data())
    assert "ftkit[engines]" in caught.value.hint
    Encoder().foresee(separable_data())


def test_an_engine_is_named_once():
    with pytest.raises(ValueError, match="twice"):
        Encoder(engines=("onnx", "onnx"))


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("0", None), ("many", None)])
def test_threads_are_those_of_the_process(monkeypatch, given, expected):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert runtimes.threads() == expected if expected else runtimes.threads() >= 1
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 7))
    assert runtimes.threads() == 7


def test_onnx_runtime_is_kept_from_telling_of_the_models_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps it is a variable, so its library must know that name; whoever sets it keeps their value."""
    import onnxruntime

    libraries = Path(onnxruntime.__file__).parent.rglob("*.so*")
    assert any(b"ORT_DISABLE_TELEMETRY" in each.read_bytes() for each in libraries)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    runtimes.unobserved()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    runtimes.unobserved()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_openvino_is_opened_without_the_package_that_tells_of_it(bert: Path, tmp_path: Path) -> None:
    """What sends is a package beside it, which makes an identity in the home of the user as soon as it is imported with it."""
    import importlib.util

    found = importlib.util.find_spec("openvino")
    assert found
    assert found.origin
    assert (Path(found.origin).parent / "tools" / "ovc" / "telemetry_stub.py").is_file(), "how it goes without it"
    code = """
import sys
from pathlib import Path
from ftkit.encoders.inference import runtimes
runtimes.openvino(Path(sys.argv[1]))
print([name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module is not None])
"""
    home = tmp_path / "home"
    home.mkdir()
    path = bert / "engines" / "onnx" / "model.onnx"
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    said = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["[]"]
    assert list(home.iterdir()) == []


def test_a_runtime_that_is_not_installed_is_named_and_the_others_do_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = engines.importlib.util.find_spec
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name == "openvino" else there(name))
    with pytest.raises(PluginError, match="not installed: openvino"):
        Encoder().load_engine(folder, "openvino")
    with pytest.raises(PluginError, match="not installed: openvino"):
        Encoder(engines=("openvino",)).foresee(separable_data())
    Encoder(engines=("onnx",)).foresee(separable_data())
    assert Encoder().load_engine(folder, "onnx").probabilities(["ship"]).shape == (1, 2)


def test_openvino_is_refused_where_it_would_crash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_libraries", lambda: "7f00-7f01 r-xp /lib/libtcmalloc_minimal.so.4")
    with pytest.raises(PluginError, match="tcmalloc") as caught:
        Encoder().load_engine(folder, "openvino")
    assert "LD_PRELOAD" in caught.value.hint
    assert Encoder().load_engine(folder, "onnx").probabilities(["ship"]).shape == (1, 2)


def test_an_engine_is_opened_with_that_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with pytest.raises(Exception, match=r"none\.onnx"):
        runtimes.onnx_runtime(tmp_path / "none.onnx")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_last_layer_of_an_exported_network_asks_for_the_first_position_alone(bert: Path) -> None:
    import onnx
    import onnxruntime

    model = onnx.load(bert / "engines" / "onnx" / "model.onnx")
    weights = [node.output[0] for node in model.graph.node if node.op_type == "Softmax"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in weights)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.ones((3, 7), np.int64)
    found = session.run(weights, {"input_ids": ids, "attention_mask": ids})
    assert [each.shape[2:] for each in found] == [*[(7, 7)] * (len(found) - 1), (1, 7)]
