"""Training on texts longer than a row: what stands beyond the beginning is learned by the ways that read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from ftkit.contracts import Data, Split
from ftkit.encoders import Encoder
from ftkit.encoders.inference.classifier import load
from ftkit.encoders.training import pace
from ftkit.testing.backbones import separable_data


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rate: float = 3e-3
    batch_size: int = 8
    epochs: int = 5
    max_length: int = 12
    precision: str = "fp32"  # type: ignore[assignment]  # one of its values
    dropout: float | None = 0.0


def late(data: Data) -> Data:
    """Texts whose classes show at their end alone."""

    def moved(split: Split) -> Split:
        return replace(
            split, texts=tuple(f"{'the of ' * (6 + index % 5)}{text}" for index, text in enumerate(split.texts))
        )

    return replace(data, train=moved(data.train), valid=moved(data.valid))


@pytest.fixture(scope="module")
def data() -> Data:
    return late(separable_data(rows=96))


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ({}, False),
        ({"long_texts": "head-tail"}, True),
        ({"long_texts": "windows", "epochs": 12}, True),
        ({"long_texts": "windows", "stride": 3, "window_pooling": "max"}, True),
    ],
)
def test_what_is_read_is_learned_and_answered_alike(
    tiny: Path, tmp_path: Path, data: Data, options: dict[str, Any], learns: bool
) -> None:
    encoder = Tiny(checkpoint=str(tiny), **options)
    reported: list[Any] = []

    def report(epoch: int, probabilities: Any, **_: float) -> bool:
        reported.append(probabilities)
        return True

    model: Any = encoder.fit(data, 1, report)
    accuracy = float((reported[-1].argmax(axis=1) == np.asarray(data.valid.labels)).mean())
    assert (accuracy > 0.9) is learns
    model.save(tmp_path / "model")
    np.testing.assert_allclose(load(tmp_path / "model").probabilities(data.valid.texts), reported[-1], atol=1e-5)


def test_a_batch_of_windows_in_parts_gives_the_weights_of_the_whole(
    tiny: Path, tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Tiny(checkpoint=str(tiny), long_texts="windows", epochs=1)

    def weights(name: str) -> dict[str, Any]:
        encoder.fit(data, 1, lambda *_, **__: True).save(tmp_path / name)
        return dict(load_file(tmp_path / name / "model.safetensors"))

    divided = weights("divided")
    monkeypatch.setattr("ftkit.encoders.training.loop.micro_batches", lambda batch, *_: [(batch, True)])
    for name, value in weights("whole").items():
        np.testing.assert_allclose(value, divided[name], atol=2e-3, err_msg=name)


def test_the_time_of_an_epoch_counts_windows(tiny: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_step", lambda _learner, _rows, length: (length / 1e4, 0.01))
    encoder = Tiny(checkpoint=str(tiny))
    head = pace.epoch_seconds(encoder, data)
    windows = pace.epoch_seconds(replace(encoder, long_texts="windows"), data)
    assert head is not None
    assert windows is not None
    assert windows > head


def test_epochs_follow_the_tokens_that_are_read(tiny: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.encoders.adaptation.MOST_TOKENS", 96 * 12 * 6)
    encoder = replace(Tiny(checkpoint=str(tiny)), epochs="auto")  # type: ignore[arg-type]  # one of its values
    assert encoder.adapted(data).epochs == 6
    assert replace(encoder, long_texts="windows").adapted(data).epochs == 3
