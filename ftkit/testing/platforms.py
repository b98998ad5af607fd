"""What every platform must do, as tests to inherit.

    class TestSlurm(PlatformSuite):
        @pytest.fixture
        def component(self):
            return Slurm(partition="short")

The platform is to be installed as a plugin. A platform that trains repeats sets `confirms: ClassVar[bool] = True`, and
the kit tests its repeats; with any other, a recipe with `[search] confirm` must be refused. The runs use
`ftkit.testing.toys`, which processes on this machine find through PYTHONPATH; a platform that trains elsewhere has to
bring them there.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftkit import options, runner
from ftkit.bundle import bundle
from ftkit.contracts import Confirming, Outcome, Platform
from ftkit.contracts.events import BestSelected, Event
from ftkit.contracts.tasks import METRICS_OF
from ftkit.errors import RecipeError, SearchError
from ftkit.evaluation import selection
from ftkit.testing import toys


class PlatformSuite:
    """Inherit as a class named `Test…` and override the fixture `component`."""

    @pytest.fixture
    def component(self) -> Platform:
        """The platform under test, with options that let it run here."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(autouse=True)
    def surroundings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A home of its own, and the toys as an installed plugin."""
        monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
        with toys.install(tmp_path / "plugins"):
            yield

    def carry_out(self, component: Platform, folder: Path, **overrides: Any) -> tuple[Outcome, list[Event]]:
        """A toy run on the platform, and its events; `search__trials` stands for `search.trials`."""
        options = {"search.trials": 2} | {key.replace("__", "."): value for key, value in overrides.items()}
        events: list[Event] = []
        plan = dataclasses.replace(toys.plan(folder, options), platform=component)
        return runner.run(plan, events.append), events

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: Platform) -> None:
        assert isinstance(component, Platform)
        assert isinstance(type(component).name, str)
        assert component.__dataclass_params__.frozen  # type: ignore[attr-defined]

    def test_every_option_is_documented(self, component: Platform) -> None:
        assert not [each.name for each in options.options(type(component)) if not each.doc]

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: Platform) -> None:
        assert options.build(type(component), options.to_table(component)) == component
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes

    def test_a_run_ends_with_the_bundle_of_the_best_trial(self, component: Platform, tmp_path: Path) -> None:
        space = {"search.space.learning_rate": [0.001, 1.0], "search.sampler": "grid"}
        outcome, events = self.carry_out(component, tmp_path, **space)
        assert events
        assert [trial.number for trial in outcome.trials] == [0, 1]
        assert [trial.values for trial in outcome.trials] == [{"learning_rate": 0.001}, {"learning_rate": 1.0}]
        for trial in outcome.trials:
            assert trial.state == "finished"
            assert [entry["epoch"] for entry in trial.history] == [1, 2, 3]
            assert set(METRICS_OF["single-label"]) <= set(trial.metrics)
        assert outcome.best == outcome.trials[1]
        assert outcome.best.metrics["roc_auc"] > outcome.trials[0].metrics["roc_auc"]
        assert outcome.metrics["roc_auc"] > 0.8
        model = bundle.verify(outcome.bundle)
        assert model.predict(["the lamp is sturdy and bright", "it broke, a cheap refund"]) == ["good", "bad"]

    def test_a_failing_trial_costs_itself_alone(self, component: Platform, tmp_path: Path) -> None:
        space = {"search.space.fault": ["error", "none"], "search.sampler": "grid"}
        outcome, _ = self.carry_out(component, tmp_path, **space)
        failed, finished = outcome.trials
        assert failed.state == "failed"
        assert "told to fail" in failed.error
        assert "\n" not in failed.error
        assert finished.state == "finished"
        assert outcome.best.number == finished.number

    def test_a_run_without_a_finished_trial_raises_a_search_error(self, component: Platform, tmp_path: Path) -> None:
        with pytest.raises(SearchError) as caught:
            self.carry_out(component, tmp_path, backbone__fault="error", search__trials=1)
        assert caught.value.hint

    def test_the_best_trials_are_repeated_with_other_seeds_or_the_recipe_is_refused(
        self, component: Platform, tmp_path: Path
    ) -> None:
        """The policy stops every trial that falls behind, as it would stop a repeat."""
        overrides = {"search.confirm": {"top": 2, "seeds": 2}, "search.sampler": "grid", "search.trials": 3}
        overrides |= {
            "search.space.learning_rate": [0.5, 0.0001, 1.0],
            "search.policy": {"use": "bandit", "slack_factor": 0},
        }
        if not (isinstance(component, Confirming) and component.confirms):
            with pytest.raises(RecipeError, match="cannot train trials again with other seeds"):
                toys.plan(tmp_path, overrides | {"run.on": component.name})
            return
        outcome, events = self.carry_out(component, tmp_path, **overrides)
        own, repeats = outcome.trials[:3], outcome.trials[3:]
        assert [trial.repeats for trial in own] == [None] * 3
        plan = dataclasses.replace(toys.plan(tmp_path, overrides), platform=component)
        expected = selection.planned_repeats(plan.search, plan.seed, own)
        assert expected
        assert "stopped" in {trial.state for trial in own}
        trained = [(each.number, each.repeats, dict(each.values), each.seed) for each in repeats]
        assert trained == [(each.number, each.repeats, each.values, each.seed) for each in expected]
        for repeat in repeats:
            original = own[repeat.repeats or 0]
            assert (repeat.state, len(repeat.history)) == ("finished", 3), "a policy must not stop a repeat"
            assert repeat.values == original.values
            assert repeat.seed != original.seed
            assert repeat.history != original.history, "it was not trained with its own seed"
        spreads = selection.spreads(outcome.trials, "roc_auc")
        assert [event.spreads for event in events if isinstance(event, BestSelected)] == [spreads]
        assert outcome.best == selection.best_trial(outcome.trials, "roc_auc")
        assert spreads[0].number in (outcome.best.number, outcome.best.repeats)
        manifest = bundle.verify(outcome.bundle).manifest
        assert manifest["trial"]["seed"] == outcome.best.seed
        assert manifest["confirmed"]["mean"] == spreads[0].mean

    def test_repeats_that_fail_do_not_fail_the_run(self, component: Platform, tmp_path: Path) -> None:
        if not (isinstance(component, Confirming) and component.confirms):
            pytest.skip("the platform trains no repeats")
        overrides = {"search.confirm": {"top": 1, "seeds": 2}, "search.trials": 1, "backbone.epochs": 2}
        outcome, _ = self.carry_out(
            component, tmp_path, **overrides, **{"backbone.fault": "error", "backbone.fault_above": 1000}
        )
        assert [(trial.state, trial.repeats) for trial in outcome.trials] == [
            ("finished", None),
            ("failed", 0),
            ("failed", 0),
        ]
        assert "told to fail" in outcome.trials[1].error
        assert outcome.best == outcome.trials[0]
        assert bundle.verify(outcome.bundle).manifest["confirmed"]["failed"] == 2

    def test_equal_values_get_other_seeds_and_equal_seeds_the_same_model(
        self, component: Platform, tmp_path: Path
    ) -> None:
        first, _ = self.carry_out(component, tmp_path)
        assert [trial.seed for trial in first.trials] == [7, 8]
        again, _ = self.carry_out(component, tmp_path)
        assert [trial.history for trial in again.trials] == [trial.history for trial in first.trials]
        assert (
            bundle.verify(again.bundle).manifest["files"]["model/weights.npy"]
            == (bundle.verify(first.bundle).manifest["files"]["model/weights.npy"])
        )
