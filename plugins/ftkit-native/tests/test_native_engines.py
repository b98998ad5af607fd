"""An encoder answers by ftkit-native as by torch: exported into its folder, opened without torch's weights, refused with a reason."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("ftkit_native")
pytest.importorskip("torch")
pytest.importorskip("transformers")

import ftkit_native
from ftkit_native import architectures

from ftkit.encoders import Encoder
from ftkit.encoders.inference import engines, packed
from ftkit.errors import BundleError, PluginError, StageError
from ftkit.testing.backbones import separable_data, tiny_bert
from ftkit.testing.engines import EngineSuite

ENGINES = ("packed-bf16", "packed-int8")


@dataclass(frozen=True, kw_only=True)
class TinyPacked(Encoder):
    """The tiny checkpoint, with the engines of ftkit-native."""

    name = "tiny-packed"


@pytest.fixture(scope="module", autouse=True)
def _with_library():
    try:
        ftkit_native.require()
    except ftkit_native.Unavailable as reason:
        pytest.skip(str(reason))


class TestPackedEngines(EngineSuite):
    tolerances: ClassVar = {"packed-bf16": 0.03}

    @pytest.fixture(scope="class")
    def component(self, tmp_path_factory):
        checkpoint = tiny_bert(tmp_path_factory.mktemp("tiny"))
        return TinyPacked(checkpoint=str(checkpoint), epochs=5, batch_size=8, learning_rate=3e-3, engines=ENGINES)

    def test_an_answer_is_the_same_to_the_last_bit_whatever_texts_come_with_it(self, exported, texts):
        for name in ENGINES:
            engine = exported.engines[name]
            alone = np.concatenate([engine.probabilities([text]) for text in texts])
            np.testing.assert_array_equal(engine.probabilities(texts), alone, err_msg=name)

    def test_it_answers_without_the_weights_of_torch(self, exported, tmp_path):
        folder = Path(shutil.copytree(exported.folder, tmp_path / "model"))
        (folder / "model.safetensors").write_bytes(b"")
        for name in ENGINES:
            expected = exported.engines[name].probabilities(["ship"])
            np.testing.assert_array_equal(Encoder().load_engine(folder, name).probabilities(["ship"]), expected)

    @pytest.mark.parametrize("content", [b"", b"no network", None])
    def test_a_damaged_file_is_a_damaged_bundle(self, exported, tmp_path, content):
        folder = Path(shutil.copytree(exported.folder, tmp_path / "model"))
        path = folder / engines.FORMATS["packed-int8"].file
        path.write_bytes(path.read_bytes()[:-1000] if content is None else content)
        with pytest.raises(BundleError, match=r"engine cannot be loaded: .*it is no safetensors file") as caught:
            Encoder().load_engine(folder, "packed-int8")
        assert caught.value.where == str(path)

    def test_an_architecture_that_it_does_not_compute_is_refused(self, component, exported, tmp_path, monkeypatch):
        folder = Path(shutil.copytree(exported.folder, tmp_path / "model"))
        shutil.rmtree(folder / "engines")
        monkeypatch.setattr("ftkit_native.architectures.ARCHITECTURES", {})
        with pytest.raises(StageError, match="does not compute BertForSequenceClassification") as caught:
            component.export(folder)
        assert "backbone.engines" in caught.value.hint

    def test_an_export_that_is_another_model_is_refused(self, component, exported, tmp_path, monkeypatch):
        folder = Path(shutil.copytree(exported.folder, tmp_path / "model"))
        shutil.rmtree(folder / "engines")
        vector = architectures.vector
        monkeypatch.setattr(
            architectures, "vector", lambda values, size: 3 + vector(values, size)
        )  # every bias and gain
        with pytest.raises(StageError, match="away from the model's"):
            component.export(folder)

    def test_where_its_library_does_not_work_it_is_left_out(self, exported, monkeypatch):
        def unavailable() -> None:
            raise ftkit_native.Unavailable("this processor lacks AVX2")

        monkeypatch.setattr(ftkit_native, "require", unavailable)
        with pytest.raises(PluginError, match="lacks AVX2"):
            Encoder().load_engine(exported.folder, "packed-bf16")
        with pytest.raises(PluginError, match="lacks AVX2"):
            Encoder(engines=("packed-bf16",)).foresee(separable_data())

    def test_where_it_is_not_installed_the_command_that_installs_it_is_named(self, exported, monkeypatch):
        monkeypatch.setattr(packed.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(PluginError, match="ftkit-native is not installed") as caught:
            Encoder().load_engine(exported.folder, "packed-bf16")
        assert "ftkit-native" in caught.value.hint

    def test_what_it_needs_is_installed_wherever_it_runs(self):
        assert Encoder(engines=("packed-int8",)).requires == ("ftkit-native",)
        assert Encoder(engines=("onnx", "packed-int8")).requires == ("ftkit[engines]", "ftkit-native")
        assert Encoder().requires == ()
