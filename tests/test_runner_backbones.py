"""A whole run whose search chooses among backbones, and whose recipe prefers the cheapest model that is as good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit.bundle import bundle
from ftkit.display import plain
from ftkit.events import BestSelected, Event
from ftkit.runs import preferred
from ftkit.runs.ledger import Ledger
from ftkit.stages import model_costs
from ftkit.testing import toys
from tests import recipes

RECIPE = toys.RECIPE.replace('[backbone]\nuse = "toy-words"\n', "[backbone.toy-words]\nepochs = 2\n").replace(
    "trials = 2",
    'trials = 3\nsampler = "grid"\nspace.backbone = ["linear", "toy-words"]\nspace.toy-words.learning_rate = [0.5, 1.0]',
)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    with recipes.written(tmp_path, RECIPE) as path:
        yield path


def test_the_cheapest_of_the_backbones_is_selected_and_becomes_the_bundle(zoo: Path) -> None:
    emitted: list[Event] = []
    # Whatever the rows show of the toys, a margin of one lets every model win: cheapest is then what decides.
    overrides: dict[str, Any] = {"search.prefer": {"cheapest": "size", "within": 1.0}}
    outcome = ftkit.run(zoo, overrides, emit=emitted.append)
    assert [trial.values for trial in outcome.trials] == [
        {"backbone": "linear"},
        {"backbone": "toy-words", "toy-words.learning_rate": 0.5},
        {"backbone": "toy-words", "toy-words.learning_rate": 1.0},
    ]
    assert [len(trial.history) for trial in outcome.trials] == [1, 2, 2]
    (event,) = [event for event in emitted if isinstance(event, BestSelected)]
    selection = event.preference
    assert selection is not None
    sizes = {each.number: each.size for each in selection.alternatives}
    cheap = [number for number, size in sizes.items() if size <= 1.1 * min(sizes.values())]
    assert outcome.best.number == selection.chosen == cheap[0]
    assert all(each.latency_ms and each.parameters for each in selection.alternatives)
    lines = list(plain.decisions(event))
    assert lines[-1] == f"select: {selection.sentence}"
    assert len(lines) == 4

    winner = bundle.verify(outcome.bundle)
    assert winner.manifest["backbone"]["use"] == outcome.best.values["backbone"] == "toy-words"
    assert winner.manifest["backbone"]["learning_rate"] == outcome.best.values["toy-words.learning_rate"]
    assert winner.manifest["backbone"]["epochs"] == 2
    assert winner.manifest["trial"]["values"] == outcome.best.values
    assert winner.manifest["preferred"] == selection.sentence
    assert selection.sentence[1:] in (outcome.bundle / "README.md").read_text()
    assert not list(outcome.folder.glob("trials/*/model"))
    page = (outcome.folder / "report.html").read_text()
    assert "Quality and cost" in page
    assert page.count('aria-label="ROC AUC and ') == 2

    assert preferred.read(Ledger(outcome.folder)) == selection


def test_a_selection_that_was_written_down_stands_when_the_run_goes_on(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides: dict[str, Any] = {
        "search.prefer": {"cheapest": "latency", "within": 1.0},
        "search.space.backbone": ["toy-words"],
    }
    broken = pytest.MonkeyPatch()
    broken.setattr(bundle, "write", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ftkit.run(zoo, overrides, emit=lambda event: None)
    broken.undo()
    monkeypatch.setattr(model_costs, "latencies", lambda *_: {})  # a second measurement would find nothing
    outcome = ftkit.run(zoo, overrides, emit=lambda event: None)
    selection = preferred.read(Ledger(outcome.folder))
    assert selection is not None
    assert outcome.best.number == selection.chosen
    assert all(each.latency_ms for each in selection.alternatives)
