"""Every architecture of the zoo trains, is saved, exported by every engine and served, with equal answers."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from ftkit_zoo.encoders import ElectraSmall

from ftkit import options, pairs, plugins
from ftkit.bundle import bundle as bundles
from ftkit.encoders import checkpoint
from ftkit.encoders.paired_rows import inputs, tokenizer_of
from ftkit.serving.handler import respond
from ftkit.serving.model_host import ModelHost
from ftkit.testing.backbones import BackboneSuite
from ftkit.testing.separable import CLASSES, ODD_TEXTS, separable_data

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ARCHITECTURES = (
    "electra-small", "mdeberta-v3-base", "modernbert-base", "mpnet-base", "multilingual-minilm", "qwen3-0.6b",
    "roberta-base", "xlm-roberta-base",
)  # fmt: skip
ENGINES = ("onnx", "onnx-int8", "openvino")
PACKED = ("packed-bf16", "packed-int8")
NOT_PACKED = {"modernbert-base", "qwen3-0.6b"}
"""What ftkit-native does not compute."""
TOLERANCES = {"native": 1e-5, "onnx": 1e-4, "openvino": 0.02, "onnx-int8": 0.1, "packed-bf16": 0.02, "packed-int8": 0.1}


def engines_of(name):
    """The engines of an architecture that work here."""
    try:
        import ftkit_native

        ftkit_native.require()
    except (ImportError, RuntimeError):
        return ENGINES
    return ENGINES if name in NOT_PACKED else (*ENGINES, *PACKED)


class TestElectraSmall(BackboneSuite):
    @pytest.fixture(scope="class")
    def component(self, tiny):
        return ElectraSmall(checkpoint=str(tiny("electra-small")), epochs=5, batch_size=8, learning_rate=5e-3)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_trains_is_exported_and_served(name, tiny, tmp_path):
    engines = engines_of(name)
    backbone = plugins.load().find("backbones", name)(
        checkpoint=str(tiny(name)), epochs=3, batch_size=8, learning_rate=5e-3, max_length=32, engines=engines
    )
    data, reports = separable_data(rows=72), []
    trained = backbone.fit(data, 1, lambda epoch, probabilities, **_: not reports.append(probabilities))
    losses = [-np.log(each[np.arange(24), data.valid.labels]).mean() for each in reports]
    assert losses[-1] < losses[0], "it learned nothing"
    trained.save(tmp_path / "model")
    bundle = bundles.write(
        tmp_path / "bundle", model=tmp_path / "model", classes=CLASSES, backbone={"use": name, "checkpoint": "x"},
        recipe='name = "zoo"\n', card="# zoo\n", sample_texts=data.valid.texts[:1], about={"run": "zoo"},
        export=backbone.export, engines=engines,
    )  # fmt: skip
    texts = [
        *data.valid.texts[:6],
        *(text for text in ODD_TEXTS if text.isprintable() and len(text) < 100),
        "ship " * 60,
    ]
    expected = trained.probabilities(texts)
    request = json.dumps({"data": [{"text": text} for text in texts], "scores": True}).encode()
    for engine in ("native", *engines):
        host = ModelHost(bundle.folder, engine=engine)
        try:
            host.load()
            assert host.status.state == "ready", host.status.reason
            reply = respond(host, request, {})
        finally:
            host.close()
        assert reply.status == 200, reply.body
        scores = np.array([[row["scores"][each] for each in CLASSES] for row in json.loads(reply.body)])
        np.testing.assert_allclose(scores, expected, atol=TOLERANCES[engine], err_msg=engine)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_reads_a_pair_in_its_own_form(name, tiny):
    tokenizer = tokenizer_of(checkpoint.read(tiny(name)), paired=True)
    own = checkpoint.read(tiny(name)).tokenizer  # another one: truncation is switched on in the object itself
    sides = ["the ship", "a piano and a drum " * 3, "", "bread, bread", "ship " * 200, "oven " * 90]
    for first, second in itertools.product(sides, sides):
        for length in (12, 13, tokenizer.limit):
            (row,) = tokenizer.rows([pairs.join(first, second)], length)
            expected = own([first], [second], truncation="longest_first", max_length=length)
            named = inputs(row, None)
            assert named["input_ids"].tolist() == expected["input_ids"][0], (first, second, length)
            if tokenizer.typed:
                assert named["token_type_ids"].tolist() == expected["token_type_ids"][0]
    assert tokenizer.typed == (name == "electra-small")


def test_every_backbone_of_the_zoo_is_described_and_of_a_tested_architecture():
    import ftkit_zoo

    installed = plugins.collect([], {"zoo": ftkit_zoo}).examined()
    assert not installed.broken
    families = {installed.find("backbones", name).description.family for name in ARCHITECTURES}
    for offer in installed.offers:
        if offer.name == "encoder":
            continue
        facts = offer.component.description
        assert facts.family in families, offer.name
        assert facts.parameters > offer.component.encoder_parameters
        assert facts.languages
        assert facts.licence
        assert offer.component().checkpoint


def test_any_checkpoint_can_be_named_and_one_must_be(tiny, tmp_path):
    installed = plugins.load()
    kind = installed.find("backbones", "encoder")
    with pytest.raises(options.Mistakes, match="'encoder' needs it"):
        options.build(kind, {})
    backbone = options.build(kind, {"checkpoint": str(tiny("electra-small")), "epochs": 1, "batch_size": 24})
    data = separable_data(rows=24)
    trained = backbone.fit(data, 1, lambda *_, **__: True)
    trained.save(tmp_path / "model")
    bundle = bundles.write(
        tmp_path / "bundle", model=tmp_path / "model", classes=CLASSES, backbone={"use": "encoder", "checkpoint": "gone"},
        recipe='name = "zoo"\n', card="# zoo\n", sample_texts=["a ship"], about={"run": "zoo"},
    )  # fmt: skip
    np.testing.assert_allclose(bundle.probabilities(["a ship"]), trained.probabilities(["a ship"]), atol=1e-6)
