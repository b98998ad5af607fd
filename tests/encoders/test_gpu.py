"""What only a GPU can show: the rest of the suite computes the same on a processor. `benchmarks/gpu.sh` runs these and measures."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from ftkit.encoders import Encoder, packing
from ftkit.encoders.inference import classifier
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.testing.separable import separable_data
from tests.encoders.test_packing import inputs, model, trained

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint, in the format that is fastest here."""

    name = "tiny"
    epochs: int = 4
    batch_size: int = 8
    learning_rate: float = 3e-3
    max_length: int = 32


@pytest.mark.parametrize("kind", packing.ARCHITECTURES)
def test_a_stream_on_the_gpu_has_the_logits_and_gradients_of_padded_rows_on_the_processor(kind: str) -> None:
    padded = model(kind).train()
    expected, expected_gradients = trained(padded, lambda: padded(**inputs()))
    network = copy.deepcopy(padded).to("cuda")
    packed = packing.of(network)
    assert packed is not None, "the trial on this GPU has failed: its reason is in the log"
    logits, gradients = trained(network, lambda: packed.logits(network, inputs(), network.device))
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-3, atol=1e-3)
    largest = max(float(each.abs().max()) for each in expected_gradients.values())
    for name, each in expected_gradients.items():
        torch.testing.assert_close(gradients[name].cpu(), each, rtol=1e-2, atol=1e-3 * largest, msg=name)
    with torch.autocast("cuda", torch.bfloat16):
        half, _ = trained(network, lambda: packed.logits(network, inputs(), network.device))
    assert float((half.cpu() - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_a_training_ends_with_a_model_that_answers_there_and_on_a_processor_alike(tiny: Path, tmp_path: Path) -> None:
    data = separable_data(128)
    trained = Tiny(checkpoint=str(tiny)).fit(data, 1, lambda *_, **__: True)
    assert isinstance(trained, EncoderClassifier)
    assert trained.model.device.type == "cuda"
    answers = trained.probabilities(data.test.texts)
    assert (answers.argmax(1) == np.asarray(data.test.labels)).mean() > 0.9
    trained.save(tmp_path / "model")
    loaded = classifier.load(tmp_path / "model")
    assert packing.known(loaded.model) is not None
    np.testing.assert_allclose(loaded.probabilities(data.test.texts), answers, atol=1e-3)
    loaded.model.to("cpu")
    loaded.model.ftkit_packing = None
    np.testing.assert_allclose(loaded.probabilities(data.test.texts), answers, atol=1e-3)
