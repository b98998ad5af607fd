"""What every platform must do, as tests to inherit.

    class TestSlurm(PlatformSuite):
        @pytest.fixture
        def component(self):
            return Slurm(partition="short")

The platform is to be installed as a plugin. A platform that trains repeats sets `confirms: ClassVar[bool] = True`, and
the kit tests its repeats; with any other, a recipe with `[search] confirm` must be refused. What `refusals` refuses is asked before
each test, which is then skipped; a recipe without a space and with the sampler `random` every platform must carry out. The runs use
`ftkit.testing.toys`, which processes on this machine find through PYTHONPATH; a platform that trains elsewhere has to
bring them there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from ftkit import options, runner
from ftkit.bundle import bundle
from ftkit.contracts import Confirming, Outcome, Platform, Refusing, Searching, Trial, capable
from ftkit.contracts.events import (
    BestSelected,
    Event,
    RunFinished,
    RunStarted,
    SearchStarted,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from ftkit.contracts.plan import Plan
from ftkit.contracts.tasks import METRICS_OF
from ftkit.errors import RecipeError, SearchError
from ftkit.evaluation import selection
from ftkit.testing import toys
from ftkit.testing.components import ComponentSuite, WithToys


class PlatformSuite(ComponentSuite, WithToys):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "platforms"

    @pytest.fixture
    def component(self) -> Platform:
        """The platform under test, with options that let it run here."""
        raise NotImplementedError("override the fixture `component`")

    def plan(self, component: Platform, folder: Path, **overrides: Any) -> Plan:
        """A toy recipe's plan on the platform; `search__trials` stands for `search.trials`. Skips the test if it is refused."""
        changes = {"search.trials": 2} | {key.replace("__", "."): value for key, value in overrides.items()}
        own = {f"run.{name}": value for name, value in options.to_table(component).items()}
        try:
            return toys.plan(folder, own | {"run.on": component.name} | changes)
        except RecipeError as refused:
            if overrides and capable(component, Refusing):
                pytest.skip(f"the platform refuses this recipe: {refused}")
            raise

    def carry_out(self, component: Platform, folder: Path, **overrides: Any) -> tuple[Outcome, list[Event]]:
        """Such a plan's outcome, and the events of its run."""
        events: list[Event] = []
        return runner.run(self.plan(component, folder, **overrides), events.append), events

    def test_what_it_refuses_is_a_mistake_of_a_recipe(self, component: Platform, tmp_path: Path) -> None:
        if not capable(component, Refusing):
            pytest.skip("it refuses nothing")
        for mistake in component.refusals(self.plan(component, tmp_path)):
            assert mistake.path, f"say which key of the recipe is refused: {mistake.what}"
            assert mistake.what.strip(), f"say why {mistake.path} is refused"

    def test_a_run_emits_the_events_that_a_platform_owes(self, component: Platform, tmp_path: Path) -> None:
        _, events = self.carry_out(component, tmp_path, backbone__epochs=2)
        names = [type(event).__name__ for event in events]
        assert isinstance(events[0], RunStarted), f"a run begins with RunStarted, not {names[0]}"
        assert isinstance(events[-1], RunFinished), f"a run ends with RunFinished, not {names[-1]}"
        begun = [event for event in events if isinstance(event, SearchStarted)]
        assert len(begun) == 1, f"a search emits SearchStarted once, not {len(begun)} times"
        assert (begun[0].total, begun[0].done, begun[0].metric) == (2, 0, "roc_auc"), (
            f"the search is another one: {begun[0]}"
        )
        for number in range(2):
            own = [
                event
                for event in events
                if (isinstance(event, TrialStarted | TrialReported) and event.number == number)
                or (isinstance(event, TrialFinished) and event.trial.number == number)
            ]
            kinds = [type(event) for event in own]
            assert kinds[:1] == [TrialStarted], f"trial {number} begins with TrialStarted"
            assert kinds[-1:] == [TrialFinished], f"trial {number} ends with TrialFinished"
            assert kinds.count(TrialFinished) == 1, f"trial {number} ends more than once"
            assert kinds.count(TrialReported) == 2, f"every evaluation of trial {number} is reported once"
            assert events.index(begun[0]) < events.index(own[0]), "SearchStarted comes before the trials"

    def test_an_interrupted_run_goes_on_and_trains_no_trial_again(self, component: Platform, tmp_path: Path) -> None:
        runs: list[str] = []
        trained: list[Trial] = []

        def interrupt(event: Event) -> None:
            if isinstance(event, RunStarted):
                runs.append(event.run)
            if isinstance(event, TrialFinished):
                trained.append(event.trial)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            runner.run(self.plan(component, tmp_path), interrupt)
        outcome, events = self.carry_out(component, tmp_path)
        assert [event.resumed for event in events if isinstance(event, RunStarted)] == [True], "it began a new run"
        assert outcome.run == runs[0], "the same command must go on with the run that was interrupted"
        assert [trial.number for trial in outcome.trials] == [0, 1], "the interruption lost a trial or added one"
        assert [trial.state for trial in outcome.trials] == ["finished", "finished"], (
            "a trial failed after the interruption"
        )
        if capable(component, Searching) and component.searches:
            again = outcome.trials[trained[0].number]
            assert again.seconds == trained[0].seconds, "a trial that had ended was trained again"
            done = [event.done for event in events if isinstance(event, SearchStarted)]
            assert done == [1], "SearchStarted must say how many trials ended before the interruption"

    def test_a_run_ends_with_the_bundle_of_the_best_trial(self, component: Platform, tmp_path: Path) -> None:
        space = {"search.space.learning_rate": [0.001, 1.0], "search.sampler": "grid"}
        outcome, _ = self.carry_out(component, tmp_path, **space)
        assert [trial.number for trial in outcome.trials] == [0, 1], "an outcome has all trials, by their numbers"
        assert [trial.values for trial in outcome.trials] == [{"learning_rate": 0.001}, {"learning_rate": 1.0}], (
            "trials have other values than the grid, or in another order"
        )
        for trial in outcome.trials:
            assert trial.state == "finished", f"trial {trial.number} {trial.state}: {trial.error}"
            assert [entry["epoch"] for entry in trial.history] == [1, 2, 3], (
                "the history has every evaluation, in order"
            )
            missing = [metric for metric in METRICS_OF["single-label"] if metric not in trial.metrics]
            assert not missing, f"trial {trial.number} lacks the metrics {missing}"
        assert outcome.best == outcome.trials[1], "the trial with the best validation metric wins"
        assert outcome.best.metrics["roc_auc"] > outcome.trials[0].metrics["roc_auc"], "the values made no difference"
        assert outcome.metrics["roc_auc"] > 0.8, "the bundle is not the model of the best trial"
        model = bundle.verify(outcome.bundle)
        answers = model.predict(["the lamp is sturdy and bright", "it broke, a cheap refund"])
        assert answers == ["good", "bad"], "the bundle is not the model of the best trial"

    def test_a_failing_trial_costs_itself_alone(self, component: Platform, tmp_path: Path) -> None:
        space = {"search.space.fault": ["error", "none"], "search.sampler": "grid"}
        outcome, _ = self.carry_out(component, tmp_path, **space)
        failed, finished = outcome.trials
        assert failed.state == "failed", "a trial whose backbone raised must be recorded as failed"
        assert "told to fail" in failed.error, f"the reason is lost: {failed.error!r}"
        assert "\n" not in failed.error, "the reason is one line; the trial's log has the traceback"
        assert finished.state == "finished", f"another trial failed with it: {finished.error}"
        assert outcome.best.number == finished.number, "the trial that finished wins"

    def test_a_run_without_a_finished_trial_raises_a_search_error(self, component: Platform, tmp_path: Path) -> None:
        with pytest.raises(SearchError) as caught:
            self.carry_out(component, tmp_path, backbone__fault="error", search__trials=1)
        assert caught.value.hint, "the error must say what to do, such as where the trial's log is"

    def test_the_best_trials_are_repeated_with_other_seeds_or_the_recipe_is_refused(
        self, component: Platform, tmp_path: Path
    ) -> None:
        """The policy stops every trial that falls behind, as it would stop a repeat."""
        overrides = {"search.confirm": {"top": 2, "seeds": 2}, "search.sampler": "grid", "search.trials": 3}
        overrides |= {
            "search.space.learning_rate": [0.5, 0.0001, 1.0],
            "search.policy": {"use": "bandit", "slack_factor": 0},
        }
        if not (capable(component, Confirming) and component.confirms):
            fields = {f"run.{name}": value for name, value in options.to_table(component).items()}
            with pytest.raises(RecipeError, match="cannot train trials again with other seeds"):
                toys.plan(tmp_path, overrides | fields | {"run.on": component.name})
            return
        outcome, events = self.carry_out(component, tmp_path, **overrides)
        own, repeats = outcome.trials[:3], outcome.trials[3:]
        assert [trial.repeats for trial in own] == [None] * 3, "trials of the search come first, and repeat none"
        plan = self.plan(component, tmp_path, **overrides)
        expected = selection.planned_repeats(plan.search, plan.seed, own)
        assert expected, "there is no repeat to train"
        assert "stopped" in {trial.state for trial in own}, "the policy stopped no trial of the search"
        trained = [(each.number, each.repeats, dict(each.values), each.seed) for each in repeats]
        assert trained == [(each.number, each.repeats, each.values, each.seed) for each in expected], (
            "the repeats are not those of `ftkit.evaluation.selection.planned_repeats`"
        )
        for repeat in repeats:
            original = own[repeat.repeats or 0]
            assert (repeat.state, len(repeat.history)) == ("finished", 3), "a policy must not stop a repeat"
            assert repeat.values == original.values, "a repeat has the values of its trial"
            assert repeat.seed != original.seed, "a repeat has a seed of its own"
            assert repeat.history != original.history, "it was not trained with its own seed"
        spreads = selection.spreads(outcome.trials, "roc_auc")
        assert [event.spreads for event in events if isinstance(event, BestSelected)] == [spreads], (
            "BestSelected has other results of the repeats than the outcome"
        )
        assert outcome.best == selection.best_trial(outcome.trials, "roc_auc"), (
            "another trial won than has the best mean"
        )
        assert spreads[0].number in (outcome.best.number, outcome.best.repeats), (
            "the winner is no repeat of the best mean"
        )
        manifest = bundle.verify(outcome.bundle).manifest
        assert manifest["trial"]["seed"] == outcome.best.seed, "the bundle is the model of another trial"
        assert manifest["confirmed"]["mean"] == spreads[0].mean, "the bundle names another mean"

    def test_repeats_that_fail_do_not_fail_the_run(self, component: Platform, tmp_path: Path) -> None:
        if not (capable(component, Confirming) and component.confirms):
            pytest.skip("the platform trains no repeats")
        overrides = {"search.confirm": {"top": 1, "seeds": 2}, "search.trials": 1, "backbone.epochs": 2}
        outcome, _ = self.carry_out(
            component, tmp_path, **overrides, **{"backbone.fault": "error", "backbone.fault_above": 1000}
        )
        assert [(trial.state, trial.repeats) for trial in outcome.trials] == [
            ("finished", None),
            ("failed", 0),
            ("failed", 0),
        ], "a repeat that fails is recorded as failed, and the run goes on"
        assert "told to fail" in outcome.trials[1].error, f"the reason is lost: {outcome.trials[1].error!r}"
        assert outcome.best == outcome.trials[0], "without a repeat that finished, the trial itself wins"
        failed = bundle.verify(outcome.bundle).manifest["confirmed"]["failed"]
        assert failed == 2, f"the bundle says that {failed} repeats failed, not 2"

    def test_equal_values_get_other_seeds_and_equal_seeds_the_same_model(
        self, component: Platform, tmp_path: Path
    ) -> None:
        first, _ = self.carry_out(component, tmp_path)
        seeds = [trial.seed for trial in first.trials]
        assert seeds == [7, 8], f"trials with equal values get seeds that count from that of the recipe, not {seeds}"
        again, _ = self.carry_out(component, tmp_path)
        assert [trial.history for trial in again.trials] == [trial.history for trial in first.trials], (
            "the same recipe trained otherwise the second time"
        )
        digests = [bundle.verify(each.bundle).manifest["files"]["model/weights.npy"] for each in (first, again)]
        assert digests[0] == digests[1], "the same recipe gave another model the second time"
