"""A budget and real trials: a training that is told to end leaves its best model, which wins and is served."""

import pytest

from ftkit import events, report, runner
from ftkit.runs import ledger
from ftkit.searching.budget import ENDED
from ftkit.testing import toys


@pytest.mark.parametrize("ends_early", [True, False])
def test_a_run_whose_budget_is_spent_ends_with_the_model_that_it_has(tmp_path, monkeypatch, ends_early):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(toys.ToyWords, "ends_early", ends_early)
    emitted = []
    with toys.install(tmp_path / "plugins"):
        plan = toys.plan(tmp_path, {"search.trials": 3, "search.max_minutes": 1e-4, "backbone.epochs": 4})
        outcome = runner.run(plan, emitted.append)
        assert [(trial.state, len(trial.history)) for trial in outcome.trials] == [("finished", 1 if ends_early else 4)]
        book = ledger.Ledger(outcome.folder)
        assert book.fact(ENDED)["used"] >= book.fact(ENDED)["limit"] == 1e-4
        assert len([event for event in emitted if isinstance(event, events.BudgetSpent)]) == 1
        classifier = plan.backbone.load(outcome.bundle / "model")
        assert len(classifier.probabilities(["quick and sturdy"])[0]) == 2
    assert "The budget ended the search: its trials ran for" in (outcome.folder / report.NAME).read_text()
