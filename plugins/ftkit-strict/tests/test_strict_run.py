"""A recipe with every test of the plugin, run from data to decision."""

from __future__ import annotations

from pathlib import Path

import pytest

import ftkit
from ftkit.errors import DataError
from ftkit.events import TrialStarted
from ftkit.testing import toys

TESTS = """
[[promote]]
use = "not-degenerate"

[[promote]]
use = "no-worse-than-champion"

[[promote]]
use = "calibration"
max_error = 0.5

[[promote]]
use = "slices"
floor = 0.1
min_support = 2

[[promote]]
use = "invariance"
max_share = 1.0
min_rows = 2
limits = { typos = 1.0 }

[[promote]]
use = "direction"
positive = "good"
negative = "bad"
praise = ["sturdy bright perfect"]
blame = ["broke refund useless"]
max_share = 0.5

[[promote]]
use = "examples"
path = "examples.csv"

[[promote]]
use = "leakage"

[[promote]]
use = "label-noise"

[[promote]]
use = "agreement"
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "toy.toml"
    path.write_text(toys.RECIPE.replace("trials = 2", "trials = 1") + TESTS, encoding="utf-8")
    return path


def test_a_good_model_passes_the_strict_gate_and_the_ledger_keeps_every_chart(recipe: Path) -> None:
    (recipe.parent / "examples.csv").write_text("text,label\nsturdy bright perfect,good\nbroke refund,bad\n")
    with toys.install(recipe.parent / "plugins"):
        outcome = ftkit.run(recipe, emit=ignore)
    statuses = {verdict.test: verdict.status for verdict in outcome.verdicts}
    assert statuses == dict.fromkeys(statuses, "passed") | {
        "no-worse-than-champion": "not applicable",
        "agreement": "not applicable",
    }
    assert len(statuses) == 10
    assert outcome.promoted
    with_chart = {verdict.test for verdict in outcome.verdicts if verdict.figure}
    assert with_chart == {"calibration", "slices", "invariance"}
    assert outcome.folder.is_dir()


PRESET = """
[[promote]]
use = "strict"
depth = "fast"
examples = "examples.csv"

[[promote]]
use = "calibration"
max_error = 0.5

[[promote]]
use = "invariance"
max_share = 1.0

[[promote]]
use = "beats-baseline"
required = false
"""


def test_the_tests_of_a_preset_run_except_where_the_recipe_names_its_own(recipe: Path) -> None:
    recipe.write_text(toys.RECIPE.replace("trials = 2", "trials = 1") + PRESET, encoding="utf-8")
    (recipe.parent / "examples.csv").write_text("text,label\nsturdy bright perfect,good\nbroke refund,bad\n")
    with toys.install(recipe.parent / "plugins"):
        outcome = ftkit.run(recipe, emit=ignore)
    statuses = {verdict.test: verdict.status for verdict in outcome.verdicts}
    # There is no champion and no column to keep apart, no class is named positive or negative, and 24 test rows are few.
    waiting = ("split-leakage", "no-worse-than-champion", "agreement", "direction", "slices")
    judged = ("not-degenerate", "leakage", "label-noise", "odd-input", "served-parity", "budget", "reload", "examples")
    own = ("calibration", "invariance", "beats-baseline")
    assert statuses == dict.fromkeys(waiting, "not applicable") | dict.fromkeys(judged + own, "passed")
    assert list(statuses)[-3:] == list(own)
    assert outcome.promoted


@pytest.mark.parametrize(
    ("table", "options", "message", "where"),
    [
        ("text,label\nsturdy,splendid\n", {}, "'splendid' is no class", "examples.csv:2"),
        ("text,label\nsturdy,good\n", {"promote.3.columns": ["shop"]}, "no column 'shop'", "slices.columns"),
    ],
)
def test_data_that_a_test_cannot_judge_ends_the_run_before_training_and_a_repaired_run_goes_on(
    recipe: Path, table: str, options: dict[str, object], message: str, where: str
) -> None:
    (recipe.parent / "examples.csv").write_text(table)
    events: list[object] = []
    with toys.install(recipe.parent / "plugins"):
        with pytest.raises(DataError, match=message) as error:
            ftkit.run(recipe, overrides=options, emit=events.append)
        assert error.value.where.endswith(where)
        assert [each for each in events if isinstance(each, TrialStarted)] == []
        (recipe.parent / "examples.csv").write_text("text,label\nsturdy,good\n")
        outcome = ftkit.run(recipe, emit=ignore)
    assert outcome.promoted
    assert len(outcome.trials) == 1


def ignore(event: object) -> None:
    """No callback is needed."""
