"""A recipe that names licences gets no weights under another one, whichever checkpoint it names."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from ftkit.contracts import Description
from ftkit.contracts.backbones import declared
from ftkit.encoders import Encoder, licence
from ftkit.errors import CheckpointError
from ftkit.testing.separable import separable_data


@dataclass(frozen=True, kw_only=True)
class Declared(Encoder):
    """An encoder whose class says what its checkpoint is."""

    name = "declared"
    description = Description("BERT", 1_000, ("en",), "apache-2.0", 128)
    exportable = ("onnx",)
    checkpoint: str = "owner/declared"
    """Where the weights are."""


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "checkpoint")


def test_a_declared_licence_is_checked_when_the_recipe_is_loaded():
    assert declared(Declared(licences=("mit", "Apache-2.0"))) is not None
    with pytest.raises(ValueError, match=r"allow mit, bsd-3-clause, and the weights of declared are under apache-2\.0"):
        Declared(licences=("mit", "bsd-3-clause"))


def test_an_engine_that_cannot_compute_an_architecture_is_refused_when_the_recipe_is_loaded():
    assert Declared(engines=("onnx",)).engines == ("onnx",)
    with pytest.raises(ValueError, match="name openvino, to which declared cannot be exported"):
        Declared(engines=("onnx", "openvino"))


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("license: mit", "mit"),
        ("license: Apache-2.0", "apache-2.0"),
        ("license: other\nlicense_name: house-rules", "house-rules"),
        ("license: other", "other"),
        ("language: en", ""),
        ("license: [unclosed", ""),
    ],
)
def test_the_licence_is_read_from_the_head_of_the_card(head, found, tmp_path):
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n# A model\n\nlicense: gpl-3.0\n")
    assert licence.licence_of(tmp_path) == found


def test_a_folder_without_a_card_has_no_licence(tmp_path):
    assert licence.licence_of(tmp_path) == ""


def test_another_checkpoint_is_held_to_its_own_card_before_any_training(folder):
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    encoder = Declared(checkpoint=str(folder), licences=("mit", "apache-2.0"))
    with pytest.raises(CheckpointError, match=r"licence 'cc-by-nc-4\.0'; the recipe allows mit, apache-2\.0"):
        encoder.foresee(separable_data())
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    encoder.foresee(separable_data())


def test_a_checkpoint_of_unknown_licence_is_refused_unless_that_is_allowed(folder):
    with pytest.raises(CheckpointError, match="no README") as caught:
        Declared(checkpoint=str(folder), licences=("mit",)).foresee(separable_data())
    assert '"unknown"' in caught.value.hint
    Declared(checkpoint=str(folder), licences=("mit", "unknown")).foresee(separable_data())
    Declared(checkpoint=str(folder)).foresee(separable_data())
