"""Every architecture answers as transformers does, whatever the lengths, on all kernels that this processor runs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ftkit_native")
pytest.importorskip("torch")
pytest.importorskip("transformers")

import ftkit_native
import torch

LENGTHS = (1, 2, 3, 16, 17, 64, 97, 200, 511, 512)
TOLERANCES = {"bf16": 0.1, "int8": 0.3}
"""In standard deviations of the logits over texts: rounding is below, a position or a head that is mistaken above."""


@pytest.fixture(scope="module", autouse=True)
def library_here():
    try:
        ftkit_native.require()
    except ftkit_native.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def rows():
    """Texts of odd lengths, one of one token repeated, and one with the padding's token within."""
    generator = np.random.default_rng(1)
    made = [generator.integers(2, 200, length) for length in LENGTHS]
    made[4][3] = 1
    return [*made, np.full(33, 7)]


@pytest.fixture(params=("bert", "wide_bert", "roberta", "electra", "distilbert", "mpnet", "deberta_v3", "deberta_v2"))
def model(request, random_model):
    return random_model(request.param)


def packed(rows):
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)])


def test_answers_are_those_of_transformers(model, rows, tmp_path, monkeypatch):
    with torch.inference_mode():
        expected = np.concatenate(
            [
                model(torch.from_numpy(row)[None], torch.ones(1, len(row), dtype=torch.long)).logits.numpy()
                for row in rows
            ]
        )
    ids, starts = packed(rows)
    for weights, tolerance in TOLERANCES.items():
        path = tmp_path / f"{weights}.safetensors"
        ftkit_native.export(model, path, int8=weights == "int8", limit=512, typed=False)
        for kernels in filter(ftkit_native.kernels, ("avx2", "avx512", "avx512_bf16", "amx")):
            monkeypatch.setenv("FTKIT_NATIVE_KERNELS", kernels)
            network = ftkit_native.open_model(path)
            logits = network.logits(ids, starts)
            np.testing.assert_allclose(
                logits, expected, atol=tolerance * expected.std(), err_msg=f"{weights}, {kernels}"
            )
            alone = [network.logits(row, np.array([0, len(row)]), threads=2) for row in rows]
            np.testing.assert_array_equal(np.concatenate(alone), logits, err_msg=f"{weights}, {kernels}")


def test_types_of_tokens_are_read(random_model, tmp_path):
    model = random_model("bert")
    ids, types = np.arange(2, 40), np.repeat([0, 1], 19)
    ftkit_native.export(model, tmp_path / "it", int8=False, limit=512, typed=True)
    network = ftkit_native.open_model(tmp_path / "it")
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids)[None], token_type_ids=torch.from_numpy(types)[None]).logits.numpy()
    logits = network.logits(ids, np.array([0, 38]), types)
    np.testing.assert_allclose(logits, expected, atol=0.03)
    assert np.abs(network.logits(ids, np.array([0, 38])) - logits).max() > 0.03


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("bert", {"hidden_act": "relu"}, "computes gelu"),
        ("bert", {"is_decoder": True}, "computes encoders"),
        ("deberta_v2", {}, "convolutions"),
    ],
)
def test_what_the_library_does_not_compute_is_refused(name, options, reason, random_model, tmp_path):
    model = random_model(name, **options)
    if name == "deberta_v2":
        model.deberta.encoder.conv = torch.nn.Identity()
    with pytest.raises(ftkit_native.Unsupported, match=reason):
        ftkit_native.export(model, tmp_path / "it", int8=False, limit=512, typed=False)
    assert not (tmp_path / "it").exists()


def test_another_architecture_is_refused(tmp_path):
    class Other(torch.nn.Module):
        pass

    with pytest.raises(ftkit_native.Unsupported, match="does not compute Other"):
        ftkit_native.export(Other(), tmp_path / "it", int8=False, limit=512, typed=False)
