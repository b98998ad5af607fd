"""A run that ftkit 0.1.0 wrote, before its modules were put into packages, can still be read and continued.

`fixtures/run_0_1_0` is a run of the toys that searched, repeated its best trial and was promoted: journal, data, bundle
and promotion record.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ftkit
from ftkit import report
from ftkit.bundle import bundle
from ftkit.runs import ledger
from ftkit.testing import toys

RUN = Path(__file__).parent / "fixtures" / "run_0_1_0"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the run in FTKIT_HOME."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "runs" / "toy-20261128-173310"
    shutil.copytree(RUN, folder)
    with toys.install(tmp_path / "plugins"):
        yield folder


def test_the_bundle_is_verified_and_predicts(run: Path) -> None:
    loaded = ftkit.load(run / "bundle")
    assert loaded.predict(["sturdy bright perfect quiet happy", "broke cheap refund useless"]) == ["good", "bad"]


def test_the_promotion_record_is_intact_and_lets_the_bundle_through(run: Path) -> None:
    record = bundle.cleared(run / "bundle").record
    assert record is not None
    assert record.promoted
    assert [verdict.test for verdict in record.verdicts] == ["metric-floor", "beats-majority"]
    assert record.profile is not None


def test_the_journal_has_trials_data_and_end(run: Path) -> None:
    (run_ledger,) = ledger.runs()
    assert run_ledger.finished
    assert [trial.repeats for trial in run_ledger.trials()] == [None, None, 0]
    assert run_ledger.fact("selected") is not None
    assert len(run_ledger.data().test) > 0


def test_its_report_can_be_written(run: Path) -> None:
    page = report.write(ledger.find(run.name))
    assert "metric-floor" in page.read_text(encoding="utf-8")


def test_a_run_that_was_killed_after_its_tests_continues_without_running_them_again(run: Path, tmp_path: Path) -> None:
    journal = run / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    unfinished = [line for line in lines if json.loads(line)["fact"] != "finished"]
    journal.write_text("".join(unfinished), encoding="utf-8")
    (run / "bundle" / "promotion.json").unlink()
    recipe = tmp_path / "toy.toml"
    recipe.write_text((run / "recipe.toml").read_text(encoding="utf-8"), encoding="utf-8")
    outcome = ftkit.run(recipe, emit=lambda event: None)
    assert outcome.run == run.name
    assert outcome.promoted
    facts = [json.loads(line)["fact"] for line in journal.read_text(encoding="utf-8").splitlines()]
    assert facts.count("tested") == 1
    assert facts[-1] == "closed"
    assert bundle.cleared(run / "bundle").record is not None
