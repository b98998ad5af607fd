"""The model card: its facts, and a head that the Hugging Face hub can read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

import ftkit
from ftkit.bundle.model_card import card
from ftkit.contracts import DataReport, Description, Trial

REPORT = DataReport(
    source="reviews.csv",
    rows_read=1240,
    dropped={"empty text": 30, "duplicate": 10, "other label": 0},
    counts={
        "train": {"bad": 100, "good": 860},
        "valid": {"bad": 12, "good": 108},
        "test": {"bad": 12, "good": 108},
    },
    lengths={"p5": 4, "p50": 60, "p95": 1200, "max": 3000},
    fingerprint="ab" * 32,
    notes=("Texts were cut out of HTML.",),
)
TRIALS = [
    Trial(
        number=number,
        values={"learning_rate": rate},
        seed=7 + number,
        state=state,
        metrics={"accuracy": score, "roc_auc": math.nan} if score else {},
        epoch=2,
    )
    for number, (rate, state, score) in enumerate(
        [(1e-5, "finished", 0.81), (3e-5, "finished", 0.9), (5e-5, "stopped", 0.7), (1e-4, "failed", 0.0)]
    )
]
BACKBONE = {
    "use": "bert-base-cased",
    "checkpoint": "google-bert/bert-base-cased",
    "learning_rate": 3e-5,
    "max_length": 128,
}


def make(**changes: Any) -> str:
    facts: dict[str, Any] = {
        "name": "reviews",
        "classes": ("bad", "good"),
        "backbone": BACKBONE,
        "data": REPORT,
        "metric": "accuracy",
        "trials": TRIALS,
        "best": TRIALS[1],
    }
    return card(**{**facts, **changes})


def head(text: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def test_the_hub_can_read_the_head():
    values = head(make())
    assert values["pipeline_tag"] == "text-classification"
    assert values["base_model"] == "google-bert/bert-base-cased"
    (result,) = values["model-index"][0]["results"]
    assert result["dataset"]["split"] == "validation"
    assert result["metrics"] == [{"type": "accuracy", "value": 0.9}], "metrics that are not defined are left out"


def test_a_local_checkpoint_is_not_named_as_a_model_of_the_hub(tmp_path):
    assert "base_model" not in head(make(backbone={**BACKBONE, "checkpoint": str(tmp_path)}))
    assert "base_model" not in head(make(backbone={"use": "minilm", "checkpoint": ""}))


def test_the_card_describes_the_data():
    text = make()
    assert "- Source: `reviews.csv`" in text
    assert "- Rows read: 1,240; dropped: 30 empty text, 10 duplicate\n" in text
    assert f"`{'ab' * 32}`" in text
    assert "p95 1,200" in text
    assert "- Texts were cut out of HTML." in text
    assert "| good | 860 | 108 | 108 |" in text
    assert "| all | 960 | 120 | 120 |" in text


def test_the_card_lists_warnings_and_what_was_read():
    warned = replace(
        REPORT,
        warnings=("It reads 65 % of the\ntokens as unknown.",),
        files={"/home/a/reviews.csv": {"format": "csv", "encoding": "utf-8"}},
        tokens={"max_length": 64, "unknown": 0.65},
    )
    text = make(data=warned)
    assert "- **Warning:** It reads 65 % of the tokens as unknown.\n" in text
    assert "- reviews.csv was read as csv, encoding utf-8\n" in text
    assert "- Tokens: the first 64 are read, 65 % of the tokens are unknown\n" in text
    assert "Warning" not in make()


def test_the_card_says_what_the_backbone_declares_of_its_weights():
    assert "made from" not in make()
    text = make(description=Description("XLM-R", 278_000_000, ("de", "en", "fr", "ru", "zh"), "mit", 512))
    for row in ("| family | XLM-R |", "| parameters | 278 million |", "| languages | 5 |", "| licence | mit |"):
        assert row in text


def test_the_card_describes_the_search_and_its_best_trials():
    text = make()
    assert "Trial 1 (seed 8) won 4 trials: 2 finished, 1 stopped early, 1 failed." in text
    assert "| learning_rate | 3e-05 |" in text
    rows = [line for line in text.splitlines() if line.endswith("| 2 |")]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 0", "| 2"], "best first, failed ones left out"
    assert "| roc_auc | not defined |" in text


def confirmed(*values: float | None, best: int) -> str:
    """The card of a run that repeated trial 1; None is a repeat that failed."""
    repeats = [
        replace(TRIALS[1], number=4 + index, seed=40 + index, repeats=1, metrics={"accuracy": value}, state="finished")
        if value is not None
        else replace(TRIALS[1], number=4 + index, seed=40 + index, repeats=1, metrics={}, state="failed")
        for index, value in enumerate(values)
    ]
    trials = [*TRIALS, *repeats]
    return make(trials=trials, best=trials[best])


def test_the_card_shows_the_mean_and_range_over_other_seeds():
    text = confirmed(0.88, 0.92, None, best=5)
    assert "The search ran 4 trials: 2 finished, 1 stopped early, 1 failed." in text
    assert "| 1 | 0.9000 | 0.9000 | 0.0283 | 0.8800 to 0.9200 | 2 (1 failed) |" in text
    assert "trial 5 (seed 41, a repeat of trial 1), accuracy 0.9200 in epoch 2" in text
    assert "won 4 trials" not in text


def test_the_card_says_so_when_every_repeat_failed():
    text = confirmed(None, None, best=1)
    assert "No repeat came to a value, so the search alone decided: trial 1 (seed 8), accuracy 0.9000" in text
    assert "| 1 | 0.9000 | not defined | not defined |  | 0 (2 failed) |" in text


def test_log_loss_ranks_the_smallest_first():
    trials = [replace(each, metrics={"log_loss": 1 - each.metrics["accuracy"]}) for each in TRIALS[:3]]
    text = make(metric="log_loss", trials=trials, best=trials[1])
    rows = [line for line in text.splitlines() if line.endswith("| 2 |")]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 0", "| 2"]


def test_the_card_shows_how_to_use_the_model_and_the_versions_of_packages():
    text = make()
    assert "ftkit.load(" in text
    assert "ftkit predict " in text
    assert "ftkit run recipe.toml" in text
    assert f"| ftkit | {ftkit.__version__} |" in text


def test_the_limits_follow_from_options_and_data():
    text = make()
    assert "reads the first 128 tokens only" in text
    assert "the rarest class, `bad`, has 100 of them" in text
    assert "90% of the training rows are `good`" in text
    assert "promotion tests" in text
    even = replace(REPORT, counts={"train": {"bad": 50, "good": 60}}, damaged_lines=(3,))
    text = make(data=even, backbone={"use": "minilm"})
    assert "unbalanced" not in text
    assert "tokens only" not in text
    assert "Some lines of the source were damaged" in text


def test_the_card_says_whether_the_probabilities_were_calibrated():
    assert "were not calibrated" in make()
    assert "were not calibrated" in make(backbone={**BACKBONE, "calibration": "none"})
    text = make(backbone={**BACKBONE, "calibration": "temperature"})
    assert "not calibrated" not in text
    assert "calibrated on the validation rows" in text


def test_a_single_trial_is_not_ranked():
    text = make(trials=TRIALS[1:2])
    assert "won 1 trial:" in text
    assert "The best of them" not in text


@pytest.mark.parametrize("name", ["a | b", "# heading", "two\nlines", "tick`s", "---", 'quo"te: {x}', "größe 🙂"])
def test_names_from_data_do_not_break_the_markdown(name):
    report = replace(REPORT, source=name, counts={"train": {name: 5, "other": 6}}, dropped={name: 1}, notes=(name,))
    text = make(name=name, classes=(name, "other"), data=report)
    assert head(text)["model-index"][0]["name"] == name
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == len([line for line in make().splitlines() if line.startswith("#")])
    rows = [line for line in text.splitlines() if line.startswith("|") and line.endswith("| 5 |")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 3


def test_the_same_facts_give_the_same_card():
    assert make() == make()
