"""A plan's parts carried out one by one in processes elsewhere, and a client that attends them."""

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
    """What ends the client in the middle of something."""


@dataclass
class Shop:
    """A service that carries out the three steps in this process, each in folders of its own, as a pipeline of its own would."""

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
        told = self.root / "events.jsonl"
        tell = remote.writer(told)
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
                emit=tell,
            )
        self.decide(plan, text, submitted["run"], tell)
        self.deploy(plan, text, submitted["run"], tell)
        for line in told.read_text().splitlines():
            event = remote.parse(line)
            assert event is not None, line
            emit(event)
        return ""

    def decide(self, plan: Plan, text: str, run: str, tell: Emit) -> None:
        trials = []
        for number in range(plan.search.trials):
            found = remote.read_trial(self.root / f"trial-{number}")
            assert found is not None
            trials.append(remote.ServiceTrial(*found))
        kept = remote.ledger(text, self.root / "deciding", run)
        remote.decide(
            plan,
            kept,
            tell,
            remote.collected(
                trials,
                lambda trial, folder: shutil.copytree(self.root / f"trial-{trial.number}", folder, dirs_exist_ok=True),
            ),
            remote.client_part(self.plan),
        )
        remote.pack(kept, self.root / "decided")

    def deploy(self, plan: Plan, text: str, run: str, tell: Emit) -> None:
        kept = remote.ledger(text, self.root / "deploying", run)
        remote.take_over(kept, self.root / "decided")
        remote.deploy(plan, kept, tell, remote.client_part(self.plan))
        remote.pack(kept, self.root / "deployed")

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        if self.breaks == "fetch":
            self.breaks = ""
            raise Breaking
        return Path(shutil.copytree(self.root / "deployed", folder / "run"))


def attend(shop: Shop, **options: Any) -> tuple[Outcome, list[Event]]:
    told: list[Event] = []
    return remote.attend(replace(shop.plan, **options), told.append, shop), told


def test_what_only_the_machine_of_the_command_has_is_used_there_and_ends_as_a_local_run(
    toy: Path, tmp_path: Path
) -> None:
    local = ftkit.run(toy, {"search.sampler": "grid", "registry.model": "others", "deploy.endpoint": "others"})
    plan = loader.load(toy, {"search.sampler": "grid"})
    assert remote.client_part(plan) == "decide"
    outcome, told = attend(Shop(plan, tmp_path / "shop"))
    assert (outcome.promoted, outcome.exit_code) == (True, ExitCode.OK)
    assert bundle.verify(outcome.bundle).recipe == plan.text, "what the steps do not need is part of the recipe"
    assert outcome.best.values == {"learning_rate": 1.0}
    assert outcome.metrics == local.metrics
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    assert (outcome.folder / "report.html").is_file()
    stages = [event.stage for event in told if isinstance(event, StageFinished)]
    assert [each for each in stages if each != "data"] == ["search", "select", "test", "register", "deploy"]
    assert any(isinstance(event, Noticed) and "registry" in event.text for event in told)

    again, told = attend(Shop(plan, tmp_path / "another"))
    assert (again.promoted, again.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert again.champion == replace(outcome.version)
    assert again.run != outcome.run


def test_what_can_be_reached_from_anywhere_is_done_by_the_steps(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = loader.load(toy)
    monkeypatch.setattr(type(plan.registry), "local", False)
    monkeypatch.setattr(type(plan.deploy), "local", False)
    assert remote.client_part(plan) == ""
    outcome, told = attend(Shop(plan, tmp_path / "shop"))
    kept = ledger.find(outcome.run)
    assert (outcome.promoted, kept.finished) == (True, True)
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    assert bundle.verify(outcome.bundle).record is not None
    assert [event.verdict.test for event in told if isinstance(event, VerdictReached)] == [
        "metric-floor",
        "beats-champion",
    ]
    second, _ = attend(Shop(plan, tmp_path / "another"))
    assert (second.promoted, second.exit_code) == (False, ExitCode.NOT_PROMOTED)
    assert second.champion is not None
    assert second.champion.version == outcome.version.version
    assert second.endpoint is not None
    assert second.endpoint.traffic == {outcome.deployment: 100}


def test_the_same_seed_trains_the_same_model_here_and_elsewhere(toy: Path, tmp_path: Path) -> None:
    overrides = {"registry.use": "none", "deploy.use": "none", "search.sampler": "grid", "promote": []}
    here = ftkit.run(toy, overrides)
    there, _ = attend(Shop(loader.load(toy, overrides), tmp_path / "shop"))
    assert [trial.history for trial in there.trials] == [trial.history for trial in here.trials]
    assert there.best.number == here.best.number
    ours, theirs = (bundle.verify(each.bundle).manifest["files"]["model/weights.npy"] for each in (here, there))
    assert ours == theirs
    assert there.metrics == here.metrics


def test_the_best_trials_are_trained_again_by_the_decision(toy: Path, tmp_path: Path) -> None:
    overrides = {"registry.use": "none", "deploy.use": "none", "search.confirm": {"top": 2, "seeds": 2}}
    overrides |= {"search.sampler": "grid"}
    here = ftkit.run(toy, overrides)
    there, told = attend(Shop(loader.load(toy, overrides), tmp_path / "shop"))
    assert [(each.repeats, each.seed, each.history) for each in there.trials] == [
        (each.repeats, each.seed, each.history) for each in here.trials
    ]
    assert there.best.number == here.best.number
    assert sum(isinstance(event, TrialFinished) for event in told) == 6


@pytest.mark.parametrize("breaks", ["submit", "follow", "fetch"])
def test_a_client_that_was_killed_attends_the_pipeline_it_had_submitted(toy: Path, tmp_path: Path, breaks: str) -> None:
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


def test_a_failed_trial_costs_itself_alone_and_none_left_is_an_error(toy: Path, tmp_path: Path) -> None:
    given = {"registry.use": "none", "deploy.use": "none", "backbone.fault": "error", "backbone.fault_epoch": 2}
    with pytest.raises(SearchError, match="told to fail"):
        attend(Shop(loader.load(toy, given), tmp_path / "shop"))
    left = remote.read_trial(tmp_path / "shop" / "trial-0")
    assert left is not None
    assert (left[0].state, left[0].error, len(left[0].history)) == ("failed", "RuntimeError: told to fail", 1)
    assert not (tmp_path / "shop" / "trial-0" / "model").exists()


def test_a_trial_that_is_ended_from_outside_has_left_its_curve(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy)

    def killed(numbers: Mapping[str, float]) -> None:
        if numbers["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.trial(
            plan, tmp_path / "out", tmp_path / "work", number=3, values={}, seed=7, log=killed, emit=lambda _: None
        )
    found = remote.read_trial(tmp_path / "out")
    assert found is not None
    assert (found[0].number, found[0].state, len(found[0].history)) == (3, "stopped", 2)
    assert remote.read_trial(tmp_path / "nowhere") is None


def test_trials_on_other_rows_or_without_the_metric_do_not_win(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy, {"search.trials": 1, "registry.use": "none", "deploy.use": "none", "promote": []})
    shop = Shop(plan, tmp_path / "shop")
    attend(shop)
    trial, data = remote.read_trial(tmp_path / "shop" / "trial-0") or pytest.fail("it left nothing")
    kept = remote.ledger(plan.text, tmp_path / "one", "run")
    with pytest.raises(StageError, match="other rows"):
        remote.decide(plan, kept, lambda _: None, remote.collected([remote.ServiceTrial(trial, "0" * 64)], pytest.fail))
    kept = remote.ledger(plan.text, tmp_path / "two", "run")
    bare = replace(trial, metrics={}, history=())
    with pytest.raises(SearchError, match="reported no roc_auc"):
        remote.decide(plan, kept, lambda _: None, remote.collected([remote.ServiceTrial(bare, data)], pytest.fail))


def test_values_come_back_as_the_recipe_has_them(toy: Path) -> None:
    space = {
        "search.space.learning_rate": [3.5e-5, 1],
        "search.space.epochs": {"low": 1, "high": 9, "step": 2},
        "search.space.decay": {"low": 0.0, "high": 0.5, "step": 0.1},
        "search.space.fault": ["none", "error"],
        "search.space.delay": {"low": 0.1, "high": 1.0},
        "search.space.engines": [[], ["half"]],
    }
    plan = loader.load(toy, space)
    said = {"learning_rate": "3.5e-05", "epochs": "7.0", "decay": "0.30000000000000004", "fault": "error"}
    found = remote.values(plan, said | {"delay": "0.25", "engines": '["half"]'})
    assert found == {
        "learning_rate": 3.5e-5,
        "epochs": 7,
        "decay": 0.3,
        "fault": "error",
        "delay": 0.25,
        "engines": ["half"],
    }
    assert isinstance(found["epochs"], int)
    for wrong in ({"fault": "nothing"}, {"delay": "much"}, {"learning_rate": "2"}):
        with pytest.raises(UsageError):
            remote.values(plan, {**said, "delay": "0.25", "engines": "[]", **wrong})
    with pytest.raises(UsageError, match="delay"):
        remote.values(plan, said)


def test_values_that_may_come_up_again_have_seeds_of_their_own(toy: Path) -> None:
    def seeds(overrides: Mapping[str, Any]) -> list[int]:
        plan = loader.load(toy, overrides)
        return [remote.seed(plan, number) for number in range(3)]

    assert seeds({"search.trials": 3}) == [7, 8, 9]
    assert seeds({"search.space": {}}) == [7, 8, 9]
    assert seeds({"search.trials": 9, "search.sampler": "grid"}) == [7, 7, 7]
    assert seeds({"search.trials": 9, "search.space.learning_rate": {"low": 0.1, "high": 1.0}}) == [7, 7, 7]


def test_what_travels_is_taken_over_once_and_holds_no_model_but_the_bundle(toy: Path, tmp_path: Path) -> None:
    plan = loader.load(toy, {"registry.use": "none", "deploy.use": "none"})
    outcome, _ = attend(Shop(plan, tmp_path / "shop"))
    packed = tmp_path / "shop" / "deployed"
    assert not list(packed.glob("trials/*/model"))
    kept = ledger.find(outcome.run)
    before = (outcome.folder / "journal.jsonl").read_bytes()
    remote.take_over(kept, packed)
    assert (outcome.folder / "journal.jsonl").read_bytes() == before
    with pytest.raises(LedgerError, match="no journal"):
        remote.take_over(kept, tmp_path / "shop" / "trial-0")


def test_every_event_comes_back_as_it_was_told(toy: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    ftkit.run(toy, emit=told.append)
    tell = remote.writer(tmp_path / "events.jsonl")
    for event in told:
        tell(event)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    back = [remote.parse(line) for line in lines]
    assert [type(each) for each in back] == [type(each) for each in told]
    assert remote.parse('{"event": "Unheard", "of": 1}') is None
    assert remote.parse('{"event": "Noticed", "te') is None
    assert remote.parse('{"event": "Noticed"}') is None
