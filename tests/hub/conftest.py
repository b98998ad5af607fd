"""A hub on loopback in place of the real one, and bundles to push to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.model_card import card
from ftkit.contracts import DataReport, Trial
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle, toy_record
from tests.hub import loopback

CLASSES = ("cargo", "passenger")
COUNTS = {split: dict.fromkeys(CLASSES, 20) for split in ("train", "valid", "test")}
REPORT = DataReport("ships.csv", 120, {}, COUNTS, {}, "ab" * 32)
TRIAL = Trial(number=0, values={}, seed=7, state="finished", metrics={"accuracy": 0.85}, epoch=1)
BERT = {"use": "bert-base-cased", "checkpoint": "google-bert/bert-base-cased", "max_length": 16}
TEXTS = ("a ship sails", "two wheels and a road", "")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[loopback.Hub]:
    """A running hub, which the hub's library in this process takes for the real one, and a token for it."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", loopback.TOKEN)
    monkeypatch.setenv("FTKIT_USER", "somebody")
    for name in ("HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "FTKIT_RECORD_KEY"):
        monkeypatch.delenv(name, raising=False)
    with loopback.running() as running:
        template = f"{running.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", running.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield running


def encoder_bundle(folder: Path, checkpoint: Path, backbone: dict[str, Any], temperature: float = 1.0) -> Bundle:
    """A bundle with the weights of this checkpoint, a new head, and a record that lets it through."""
    import torch

    from ftkit.encoders import checkpoint as checkpoints
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer

    read = checkpoints.read(checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = read.model(CLASSES)
    with torch.no_grad():
        model.classifier.weight.mul_(20)  # a new head is so small that every answer would be one half
    saved = folder.with_name(f"{folder.name}-model")
    EncoderClassifier(model, Tokenizer(read.tokenizer, read.limit), 16, temperature=temperature).save(saved)
    text = card(
        name="ships", classes=CLASSES, backbone=backbone, data=REPORT, metric="accuracy", trials=[TRIAL], best=TRIAL
    )
    bundle = bundles.write(
        folder, model=saved, classes=CLASSES, backbone=backbone, recipe='name = "ships"\n', card=text,
        sample_texts=TEXTS[:2], about={"run": "ships"},
    )  # fmt: skip
    records.write(bundle.folder, toy_record(bundle.hash))
    return bundles.verify(folder)


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny BERT with random weights and a temperature: no test may change it."""
    pytest.importorskip("transformers")
    from ftkit.testing.backbones import tiny_bert

    folder = tmp_path_factory.mktemp("calibrated")
    return encoder_bundle(folder / "bundle", tiny_bert(folder / "checkpoint"), BERT, temperature=2.5)


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Bundle]:
    """A bundle that transformers cannot load."""
    with toys.install(tmp_path / "plugin"):
        yield toy_bundle(tmp_path / "toy")
