"""Encoders exported to ONNX: the same logits for any architecture and shape, and errors before and after the export."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from ftkit.encoders import Encoder, checkpoint
from ftkit.encoders.export import onnx as export
from ftkit.encoders.inference import engines
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.encoders.tokenization import Tokenizer
from ftkit.errors import PluginError, StageError
from ftkit.testing.backbones import CLASSES, ODD_TEXTS, separable, separable_data


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
def test_other_architectures_answer_the_same_in_lengths_that_the_exporter_has_not_seen(architecture, tiny, tmp_path):
    import torch

    tokenizer = Tokenizer(checkpoint.read(tiny).tokenizer, 128)
    size = {
        "vocab_size": len(tokenizer.wrapped), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 128, "initializer_range": 0.2, "pad_token_id": 0,
        "id2label": dict(enumerate(CLASSES)), "label2id": {name: index for index, name in enumerate(CLASSES)},
    }  # fmt: skip
    torch.manual_seed(1)
    EncoderClassifier(architecture(size), tokenizer, 128).save(tmp_path)
    export.export(tmp_path, ("onnx", "onnx-int8", "openvino"))
    texts = [*separable(40, 3).texts, "ship " * 100, "sail wave " * 30, *ODD_TEXTS]
    expected = Encoder().load(tmp_path).probabilities(texts)
    for name, tolerance in (("onnx", 1e-4), ("onnx-int8", 0.1), ("openvino", 0.1)):
        engine = Encoder().load_engine(tmp_path, name)
        probabilities = engine.probabilities(texts)
        np.testing.assert_allclose(probabilities, expected, atol=tolerance, err_msg=name)
        alone = np.concatenate([engine.probabilities([text]) for text in texts])
        np.testing.assert_allclose(alone, probabilities, atol=1e-4, err_msg=name)


def test_an_export_whose_logits_differ_from_the_model_is_an_error(exported_bert):
    model = export._model(exported_bert)
    model.classifier.bias.data += 1.0
    with pytest.raises(StageError, match="away from the model's") as caught:
        export._compare(model, exported_bert / "engines" / "onnx" / "model.onnx")
    assert "engines = []" in caught.value.hint


def test_a_missing_package_is_named_before_any_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # for Python the package is then not installed
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(PluginError, match="not installed: onnxruntime") as caught:
        Encoder(engines=("onnx",)).foresee(separable_data())
    assert "[engines]" in caught.value.hint
    Encoder().foresee(separable_data())


def test_the_last_layer_of_an_exported_network_computes_the_first_position_alone(exported_bert: Path) -> None:
    import onnx
    import onnxruntime

    model = onnx.load(exported_bert / "engines" / "onnx" / "model.onnx")
    names = [node.output[0] for node in model.graph.node if node.op_type == "Softmax"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.ones((3, 7), np.int64)
    weights = session.run(names, {"input_ids": ids, "attention_mask": ids})  # of attention, one per layer
    assert [each.shape[2:] for each in weights] == [*[(7, 7)] * (len(weights) - 1), (1, 7)]
