"""A file scored by a real encoder has the answers of an endpoint, also for texts that are read in windows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ftkit import cli
from ftkit.bundle import bundle as bundles
from ftkit.serving.handler import respond
from ftkit.serving.model_host import ModelHost
from ftkit.testing.backbones import tiny_bert

minilm = pytest.importorskip("ftkit_quickstart").minilm
pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")

TEXTS = ["It works.", "", "a long story of a lamp that broke " * 30, "Çelik 🎸", "again " * 70]


def test_a_scored_file_has_the_answers_of_an_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit.encoders.checkpoint import open_checkpoint
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.long_texts import LongTexts
    from ftkit.encoders.tokenization import Tokenizer

    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    checkpoint = open_checkpoint(minilm.MiniLM(checkpoint=str(tiny_bert(tmp_path / "checkpoint"))))
    network = checkpoint.model(("no", "yes", "who knows"))
    way = LongTexts("windows", stride=20)
    EncoderClassifier(network, Tokenizer(checkpoint.tokenizer, 32), 32, long_texts=way).save(tmp_path / "model")
    bundle = bundles.write(
        tmp_path / "bundle",
        model=tmp_path / "model",
        classes=("no", "yes", "who knows"),
        backbone={"use": "minilm"},
        recipe='name = "x"\n[dataset]\nuse = "table"\npath = "x.csv"\n',
        card="# A model\n",
        sample_texts=["It works."],
        about={"run": "x"},
    )
    rows, scored = tmp_path / "rows.jsonl", tmp_path / "scored.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    assert cli.main(["predict", str(bundle.folder), "--in", str(rows), "--out", str(scored), "--scores"]) == 0
    answers = [json.loads(line) for line in scored.read_text(encoding="utf-8").splitlines()]
    assert [each["text"] for each in answers] == TEXTS
    assert answers.pop(1)["label"] is None
    host = ModelHost(bundle.folder)
    host.load()
    try:
        body = json.dumps({"data": [{"text": text} for text in TEXTS if text], "scores": True}).encode()
        served = json.loads(respond(host, body, {}).body)
    finally:
        host.close()
    assert [each["label"] for each in answers] == [each["label"] for each in served]
    for answer, other in zip(answers, served, strict=True):
        values = [answer[f"score_{name}"] for name in ("no", "yes", "who_knows")]
        np.testing.assert_allclose(values, [*other["scores"].values()], atol=1e-5)
