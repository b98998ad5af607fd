"""A real encoder that leaves texts unanswered: through the gate, whose tests ask its server, to answers and files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import ftkit
from ftkit import cli
from ftkit.bundle import bundle as bundles
from ftkit.serving.handler import respond
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.backbones import tiny_bert

pytest.importorskip("ftkit_quickstart")
pytest.importorskip("ftkit_strict")
pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")

RECIPE = """
name = "unsure"
[dataset]
use = "toy-reviews"
rows = 400
[backbone]
use = "minilm"
checkpoint = {checkpoint}
epochs = 3
learning_rate = 0.005
max_length = 16
[decision]
thresholds = {{ good = 0.52 }}
abstain = {{ below = 0.51 }}
[[promote]]
use = "served-parity"
rows = 20
"""


def test_gate_server_and_files_give_the_answers_of_the_rule(tmp_path: Path) -> None:
    recipe = tmp_path / "unsure.toml"
    checkpoint = json.dumps(str(tiny_bert(tmp_path / "checkpoint")))
    recipe.write_text(RECIPE.format(checkpoint=checkpoint), encoding="utf-8")
    with toys.install(tmp_path / "plugins"):
        outcome = ftkit.run(recipe, emit=lambda _: None)
    verdicts = {each.test: each for each in outcome.verdicts}
    assert [*verdicts] == ["served-parity", "selective-risk"]
    assert outcome.promoted, [each.sentence for each in outcome.verdicts]
    bundle = bundles.verify(outcome.bundle)
    texts = ["sturdy bright easy", "broke noisy refund", "sturdy", "noisy", "it", "sturdy noisy", "easy bright broke"]
    decided = bundle.decided(bundle.probabilities(texts))
    assert 0 < decided.unsure.sum() < len(texts), decided.certainty
    host = ModelHost(bundle.folder)
    host.load()
    try:
        request = {"data": [{"text": text} for text in texts]}
        plain = json.loads(respond(host, json.dumps(request).encode(), {}).body)
        scored = json.loads(respond(host, json.dumps({**request, "scores": True}).encode(), {}).body)
        measures = host.counts.measures(60)
    finally:
        host.close()
    assert plain == decided.labels == [each["label"] for each in scored]
    assert [each["best"] for each in scored] == decided.best
    assert [each["abstained"] for each in scored] == decided.unsure.tolist()
    assert measures.unsure == 2 * decided.unsure.sum()
    assert measures.classes == {name: 2 * number for name, number in decided.counts.items()}
    rows, out = tmp_path / "rows.csv", tmp_path / "scored.csv"
    rows.write_text("text\n" + "".join(f"{text}\n" for text in texts), encoding="utf-8")
    assert cli.main(["predict", str(bundle.folder), "--in", str(rows), "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        written = [*csv.DictReader(file)]
    assert [each["label"] or None for each in written] == decided.labels
    assert [each["abstained"] for each in written] == [str(each).lower() for each in decided.unsure.tolist()]
