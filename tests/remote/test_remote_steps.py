"""The steps of a pipeline, run one by one by a service, and the client that follows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit import remote
from ftkit.bundle import bundle
from ftkit.contracts import Emit, Outcome
from ftkit.contracts.plan import Plan
from ftkit.errors import ExitCode, LedgerError, SearchError, StageError, UsageError
from ftkit.events import Event, Noticed, StageFinished, TrialFinished, VerdictReached
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.testing import toys
from tests import recipes

RECIPE = (
    toys.RECIPE
    + """
[search.space]
learning_rate = [0.0005, 1.0]
"""
    + recipes.JUDGED
)


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    with recipes.written(tmp_path, RECIPE) as path:
        yield path


class Breaking(Exception):
    """Ends the client in the middle of a call."""


@dataclass
class Shop:
    """A service that runs the three steps in this process, each in folders of its own."""

    plan: Plan
    root: Path
    breaks: str = ""
    lost: bool = False
    submitted: int = 0

    def submit(self, run: str) -> Mapping[str, str]:
        self.submitted += 1
        (self.root / "queue").mkdir(parents=True, exist_ok=True)
        (self.root / "queue" / run).write_text(self.plan.text)
        if self.breaks == "submit":
            self.breaks = ""
            raise Breaking
        return {"run": run}

    def find(self, run: str) -> Mapping[str, str] | None:
        return {"run": run} if (self.root / "queue" / run).exists() else None

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        if self.breaks == "follow":
            self.breaks = ""
            raise Breaking
        if self.breaks == "failure":
            self.breaks = ""
            return "the step HyperDrive_Step failed"
        event_log = self.root / "events.jsonl"
        log_event = remote.writer(event_log)
        text = (self.root / "queue" / submitted["run"]).read_text()
        plan = remote.plan(text, remote.step_overrides(self.plan))
        for number, proposed in enumerate(["0.0005", "1"][: plan.search.trials]):
            outputs = self.root / f"trial-{number}"
            values, seed = remote.values(plan, {"learning_rate": proposed}), remote.seed(plan, number)
            remote.trial(
                plan,
                outputs,
                self.root / f"work-{number}",
                number=number,
                values=values,
                seed=seed,
                log=lambda numbers: None,
                emit=log_event,
            )
        self.decide(plan, text, submitted["run"], log_event)
        self.deploy(plan, text, submitted["run"], log_event)
        for line in event_log.read_text().splitlines():
            event = remote.parse(line)
            assert event is not None, line
            emit(event)
        return ""

    def decide(self, plan: Plan, text: str, run: str, emit: Emit) -> None:
        trials = []
        for number in range(plan.search.trials):
            trial_and_data = remote.read_trial(self.root / f"trial-{number}")
            assert trial_and_data is not None
            trials.append(remote.ServiceTrial(*trial_and_data))
        step_ledger = remote.ledger(text, self.root / "deciding", run)
        remote.decide(
            plan,
            step_ledger,
            emit,
            remote.collected(
                trials,
                lambda trial, folder: shutil.copytree(self.root / f"trial-{trial.number}", folder, dirs_exist_ok=True),
            ),
            remote.client_part(self.plan),
        )
        remote.pack(step_ledger, self.root / "decided")

    def deploy(self, plan: Plan, text: str, run: str, emit: Emit) -> None:
        step_ledger = remote.ledger(text, self.root / "deploying", run)
        remote.take_over(step_ledger, self.root / "decided")
        remote.deploy(plan, step_ledger, emit, remote.client_part(self.plan))
        remote.pack(step_ledger, self.root / "deployed")

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        if self.breaks == "fetch":
            self.breaks = ""
            raise Breaking
        return Path(shutil.copytree(self.root / "deployed", folder / "run"))


def attend(shop: Shop, **options: Any) -> tuple[Outcome, list[Event]]:
    emitted: list[Event] = []
    return remote.attend(replace(shop.plan, **options), emitted.append, shop), emitted


def test_the_client_does_what_needs_its_registry_and_endpoint_as_a_local_run_does(toy: Path, tmp_path: Path) -> None:
    local = ftkit.run(toy, {"search.sampler": "grid", "registry.model": "others", "deploy.endpoint": "others"})
    plan = loader.load(toy, {"search.sampler": "grid"})
    assert remote.client_part(plan) == "decide"
    outcome, emitted = attend(Shop(plan, tmp_path / "shop"))
    assert (outcome.promoted, outcome.exit_code) == (True, ExitCode.OK)
    assert bundle.verify(outcome.bundle).recipe == plan.text, "the recipe has what only the client needs, too"
    assert outcome.best.values == {"learning_rate": 1.0}
    assert outcome.metrics == local.metrics
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    assert (outcome.folder / "report.html").is_file()
    stages = [event.stage for event in emitted if isinstance(event, StageFinished)]
    assert [each for each in stages if each != "data"] == ["search", "select", "test", "register", "deploy"]
    assert any(isinstance(event, Noticed) and "registry" in event.text for event in emitted)

    again, emitted = attend(Shop(plan, tmp_path / "another"))
    assert (again.promoted, again.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert again.champion is not None
    assert (again.champion.version, again.champion.bundle_hash) == (
        outcome.version.version,
        outcome.version.bundle_hash,
    )
    assert again.run != outcome.run


def test_the_steps_register_and_deploy_what_they_can_reach(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = loader.load(toy)
    monkeypatch.setattr(type(plan.registry), "local", False)
    monkeypatch.setattr(type(plan.deploy), "local", False)
    assert remote.client_part(plan) == ""
    outcome, emitted = attend(Shop(plan, tmp_path / "shop"))
    assert (outcome.promoted, ledger.find(outcome.run).finished) == (True, True)
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    assert bundle.verify(outcome.bundle).record is not None
    assert [event.verdict.test for event in emitted if isinstance(event, VerdictReached)] == [
        "metric-floor",
        "beats-champion",
    ]
    second, _ = attend(Shop(plan, tmp_path / "another"))
    assert (second.promoted, second.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert second.champion is not None
    assert second.champion.version == outcome.version.version
    assert second.endpoint is not None
    assert second.endpoint.traffic == {outcome.deployment: 100}


def test_the_same_seed_trains_the_same_model_on_this_machine_and_on_a_service(toy: Path, tmp_path: Path) -> None:
    overrides = {"registry.use": "none", "deploy.use": "none", "search.sampler": "grid", "promote": []}
    local = ftkit.run(toy, overrides)
    outcome, _ = attend(Shop(loader.load(toy, overrides), tmp_path / "shop"))
    assert [trial.history for trial in outcome.trials] == [trial.history for trial in local.trials]
    assert outcome.best.number == local.best.number
    weights = [bundle.verify(each.bundle).manifest["files"]["model/weights.npy"] for each in (local, outcome)]
    assert weights[0] == weights[1]
    assert outcome.metrics == local.metrics


def test_the_best_trials_are_trained_again_by_the_decision(toy: Path, tmp_path: Path) -> None:
    overrides = {"registry.use": "none", "deploy.use": "none", "search.confirm": {"top": 2, "seeds": 2}}
    overrides |= {"search.sampler": "grid"}
    local = ftkit.run(toy, overrides)
    outcome, emitted = attend(Shop(loader.load(toy, overrides), tmp_path / "shop"))
    assert [(trial.repeats, trial.seed, trial.history) for trial in outcome.trials] == [
        (trial.repeats, trial.seed, trial.history) for trial in local.trials
    ]
    assert outcome.best.number == local.best.number
    assert sum(isinstance(event, TrialFinished) for event in emitted) == 6


@pytest.mark.parametrize("breaks", ["submit", "follow", "fetch"])
def test_a_killed_client_follows_the_pipeline_that_it_had_submitted(toy: Path, tmp_path: Path, breaks: str) -> None:
    shop = Shop(loader.load(toy, {"registry.use": "none", "deploy.use": "none"}), tmp_path / "shop", breaks)
    with pytest.raises(Breaking):
        attend(shop)
    outcome, _ = attend(shop)
    assert shop.submitted == 1
    assert outcome.promoted
    assert len(ledger.runs()) == 1


def test_a_pipeline_that_failed_is_submitted_again(toy: Path, tmp_path: Path) -> None:
    shop = Shop(loader.load(toy, {"registry.use": "none", "deploy.use": "none"}), tmp_path / "shop", "failure")
    with pytest.raises(StageError, match="HyperDrive_Step failed") as caught:
        attend(shop)
    assert "submits the pipeline again" in caught.value.hint
    assert attend(shop)[0].promoted
    assert shop.submitted == 2


def test_failed_trials_leave_their_error_and_a_search_of_failed_trials_is_an_error(toy: Path, tmp_path: Path) -> None:
    overrides = {"registry.use": "none", "deploy.use": "none", "backbone.fault": "error", "backbone.fault_epoch": 2}
    with pytest.raises(SearchError, match="told to fail"):
        attend(Shop(loader.load(toy, overrides), tmp_path / "shop"))
    trial, _ = remote.read_trial(tmp_path / "shop" / "trial-0") or pytest.fail("there is no trial.json")
    assert (trial.state, trial.error, len(trial.history)) == (
        "failed",
        "fit of the backbone 'toy-words' of ftkit-toys 1 failed: RuntimeError: told to fail",
        1,
    )
    assert not (tmp_path / "shop" / "trial-0" / "model").exists()


def test_a_killed_trial_has_left_its_curve(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy)

    def killed(numbers: Mapping[str, float]) -> None:
        if numbers["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.trial(
            plan, tmp_path / "out", tmp_path / "work", number=3, values={}, seed=7, log=killed, emit=lambda _: None
        )
    trial, _ = remote.read_trial(tmp_path / "out") or pytest.fail("there is no trial.json")
    assert (trial.number, trial.state, len(trial.history)) == (3, "stopped", 2)
    assert remote.read_trial(tmp_path / "nowhere") is None


def test_trials_on_other_rows_or_without_the_metric_do_not_win(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy, {"search.trials": 1, "registry.use": "none", "deploy.use": "none", "promote": []})
    shop = Shop(plan, tmp_path / "shop")
    attend(shop)
    trial, data = remote.read_trial(tmp_path / "shop" / "trial-0") or pytest.fail("there is no trial.json")

    def decide(name: str, service_trial: remote.ServiceTrial) -> None:
        step_ledger = remote.ledger(plan.text, tmp_path / name, "run")
        remote.decide(plan, step_ledger, lambda _: None, remote.collected([service_trial], pytest.fail))

    with pytest.raises(StageError, match="other rows"):
        decide("other rows", remote.ServiceTrial(trial, "0" * 64))
    with pytest.raises(SearchError, match="reported no roc_auc"):
        decide("no metric", remote.ServiceTrial(replace(trial, metrics={}, history=()), data))


def test_the_texts_of_a_service_become_the_values_of_the_recipe(toy: Path) -> None:
    space = {
        "search.space.learning_rate": [3.5e-5, 1],
        "search.space.epochs": {"low": 1, "high": 9, "step": 2},
        "search.space.decay": {"low": 0.0, "high": 0.5, "step": 0.1},
        "search.space.fault": ["none", "error"],
        "search.space.delay": {"low": 0.1, "high": 1.0},
        "search.space.engines": [[], ["half"]],
    }
    plan = loader.load(toy, space)
    texts = {"learning_rate": "3.5e-05", "epochs": "7.0", "decay": "0.30000000000000004", "fault": "error"}
    values = remote.values(plan, texts | {"delay": "0.25", "engines": '["half"]'})
    assert values == {
        "learning_rate": 3.5e-5,
        "epochs": 7,
        "decay": 0.3,
        "fault": "error",
        "delay": 0.25,
        "engines": ["half"],
    }
    assert isinstance(values["epochs"], int)
    for wrong in ({"fault": "nothing"}, {"delay": "much"}, {"learning_rate": "2"}):
        with pytest.raises(UsageError):
            remote.values(plan, {**texts, "delay": "0.25", "engines": "[]", **wrong})
    with pytest.raises(UsageError, match="delay"):
        remote.values(plan, texts)


def test_trials_that_may_have_equal_values_have_seeds_of_their_own(toy: Path) -> None:
    def seeds(overrides: Mapping[str, Any]) -> list[int]:
        plan = loader.load(toy, overrides)
        return [remote.seed(plan, number) for number in range(3)]

    assert seeds({"search.trials": 3}) == [7, 8, 9]
    assert seeds({"search.space": {}}) == [7, 8, 9]
    assert seeds({"search.trials": 9, "search.sampler": "grid"}) == [7, 7, 7]
    assert seeds({"search.trials": 9, "search.space.learning_rate": {"low": 0.1, "high": 1.0}}) == [7, 7, 7]


def test_a_packed_run_has_no_models_of_trials_and_merging_it_again_changes_nothing(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy, {"registry.use": "none", "deploy.use": "none"})
    outcome, _ = attend(Shop(plan, tmp_path / "shop"))
    packed = tmp_path / "shop" / "deployed"
    assert not list(packed.glob("trials/*/model"))
    run_ledger = ledger.find(outcome.run)
    before = (outcome.folder / "journal.jsonl").read_bytes()
    remote.take_over(run_ledger, packed)
    assert (outcome.folder / "journal.jsonl").read_bytes() == before
    with pytest.raises(LedgerError, match="no journal"):
        remote.take_over(run_ledger, tmp_path / "shop" / "trial-0")


def test_every_event_is_read_back_from_its_line(toy: Path, tmp_path: Path) -> None:
    emitted: list[Event] = []
    ftkit.run(toy, emit=emitted.append)
    log_event = remote.writer(tmp_path / "events.jsonl")
    for event in emitted:
        log_event(event)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    events = [remote.parse(line) for line in lines]
    assert [type(each) for each in events] == [type(each) for each in emitted]
    assert remote.parse('{"event": "Unknown", "of": 1}') is None
    assert remote.parse('{"event": "Noticed", "te') is None
    assert remote.parse('{"event": "Noticed"}') is None
