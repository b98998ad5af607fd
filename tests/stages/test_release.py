"""Records of decisions, and release by hand: against the tests, again, and of an older run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit import cli
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts import Outcome
from ftkit.errors import BundleError, DeployError, ExitCode, UsageError
from ftkit.events import Event, Noticed, PromotionDecided
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.stages import release
from ftkit.testing import toys
from tests import recipes

RECIPE = (
    toys.RECIPE.replace("trials = 2", "trials = 1")
    + """
[[promote]]
use = "metric-floor"
floor = 0.999
"""
    + recipes.LIVE
)


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    with recipes.written(tmp_path, RECIPE) as path:
        yield path
        loader.load(path).deploy.stop()


def run(path: Path, overrides: dict[str, Any] | None = None) -> Outcome:
    return ftkit.run(path, overrides, emit=lambda _: None)


def quiet(_: Event) -> None:
    """An `emit` that drops events."""


def test_every_run_ends_with_a_record_of_the_decision_about_its_bundle(toy: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(records.BY, "the release pipeline")
    outcome = run(toy, {"deploy.use": "none"})
    assert not outcome.promoted
    bundle = bundles.verify(outcome.bundle)
    record = bundle.record
    assert record is not None
    assert (record.bundle, record.run, record.name, record.promoted) == (bundle.hash, outcome.run, "toy", False)
    assert record.data == bundle.manifest["data"]
    assert record.recipe == records.sha256((outcome.folder / "recipe.toml").read_text())
    assert list(record.tests) == [{"use": "metric-floor", "floor": 0.999}]
    assert [verdict.sentence for verdict in record.verdicts] == [verdict.sentence for verdict in outcome.verdicts]
    assert record.metrics == outcome.metrics
    assert (record.by, record.override, record.champion) == ("the release pipeline", None, None)
    assert record.at == (ledger.find(outcome.run).fact("tested") or {})["at"]


def test_an_override_puts_the_model_live_and_records_person_and_reason(toy: Path, monkeypatch: Any) -> None:
    failed = run(toy)
    with pytest.raises(UsageError, match=r"not let through(.|\n)*metric-floor failed") as refused:
        release.promote(failed.run, quiet)
    assert "--override" in refused.value.hint
    with pytest.raises(UsageError, match="needs a reason"):
        release.promote(failed.run, quiet, "  ")
    assert loader.load(toy).registry.versions() == []
    monkeypatch.setenv(records.BY, "night shift")
    events: list[Event] = []
    outcome = release.promote(failed.run, events.append, "the old model is worse on the new products")
    assert (outcome.promoted, outcome.exit_code) == (True, ExitCode.OK)
    assert any(isinstance(each, PromotionDecided) and "night shift" in each.sentence for each in events)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    champion = loader.load(toy).registry.champion()
    assert champion is not None
    fetched = bundles.verify(loader.load(toy).registry.fetch(champion.version, toy.parent / "fetched"))
    assert fetched.record is not None
    assert fetched.record.override is not None
    assert (fetched.record.promoted, fetched.record.override.by) == (False, "night shift")
    assert fetched.record.override.reason == "the old model is worse on the new products"
    again = release.promote(failed.run, quiet)
    assert again.version is not None
    assert again.version.version == champion.version, "promoted again, nothing changes"
    with pytest.raises(UsageError, match="night shift has let this model through already"):
        release.promote(failed.run, quiet, "another reason")


def test_tests_that_passed_cannot_be_overridden(toy: Path) -> None:
    passed = run(toy, {"promote.0.floor": 0.1, "deploy.use": "none"})
    with pytest.raises(UsageError, match="nothing to override"):
        release.promote(passed.run, quiet, "to be sure")


def test_an_older_run_is_promoted_again_with_a_warning_of_the_changed_champion(toy: Path) -> None:
    first = run(toy, {"promote.0.floor": 0.1})
    second = run(toy, {"promote.0.floor": 0.1, "seed": 8})
    assert first.version and second.version
    events: list[Event] = []
    again = release.promote(first.run, events.append)
    assert again.version is not None
    assert again.version.version == first.version.version
    assert loader.load(toy).registry.champion().bundle_hash == first.version.bundle_hash
    assert again.endpoint is not None
    assert [each.bundle_hash for each in again.endpoint.deployments] == [first.version.bundle_hash]
    assert any(isinstance(each, Noticed) and "champion has changed" in each.text for each in events)


def test_a_bundle_with_an_edited_record_is_refused(toy: Path) -> None:
    outcome = run(toy)
    path = outcome.bundle / records.NAME
    path.write_text(path.read_text().replace('"promoted": false', '"promoted": true'))
    with pytest.raises(BundleError, match="record was changed"):
        release.promote(outcome.run, quiet)
    deployer = loader.load(toy).deploy
    deployer.prepare()
    with pytest.raises(BundleError, match="record was changed"):
        deployer.create("sneaked", outcome.bundle)


def test_a_deployer_refuses_a_bundle_without_a_record_or_against_its_tests(toy: Path, tmp_path: Path) -> None:
    outcome = run(toy)
    shutil.copytree(outcome.bundle, tmp_path / "copy")
    (tmp_path / "copy" / records.NAME).unlink()
    deployer = loader.load(toy).deploy
    deployer.prepare()
    with pytest.raises(DeployError, match="no promotion record"):
        deployer.create("sneaked", tmp_path / "copy")
    with pytest.raises(DeployError, match=r"may not be deployed\. Not promoted: metric-floor failed"):
        deployer.create("sneaked", outcome.bundle)


def test_a_run_without_a_decision_cannot_be_promoted(toy: Path) -> None:
    plan = loader.load(toy)
    unfinished, _ = ledger.begin(plan.name, plan.text)
    with pytest.raises(UsageError, match="not come to a decision"):
        release.promote(unfinished.run, quiet, "impatience")


def test_the_promote_command_refuses_without_a_reason_and_promotes_with_one(toy: Path, capsys: Any) -> None:
    failed = run(toy, {"deploy.use": "none"})
    assert cli.main(["promote", failed.run]) == ExitCode.RECIPE
    assert "--override" in capsys.readouterr().err
    assert cli.main(["promote", failed.run, "--override", "it is Friday", "--json"]) == ExitCode.OK
    outcome = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (outcome["event"], outcome["promoted"]) == ("outcome", True)
    assert cli.main(["runs", failed.run]) == ExitCode.OK
    assert "it is Friday" in capsys.readouterr().out
    assert cli.main(["promote", "nope"]) == ExitCode.RECIPE
