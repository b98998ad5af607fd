"""Tests that every model registry must pass, to inherit.

    class TestShelf(RegistrySuite):
        @pytest.fixture
        def component(self, tmp_path):
            return Shelf(model="reviews", folder=tmp_path)

The registry must be empty for each test: a new folder, or a model name that was never used.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from ftkit import files
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import DataReport, Lineage, Registry, Trial, Verdict
from ftkit.errors import BundleError, RegistryError
from ftkit.testing.bundles import toy_bundle
from ftkit.testing.components import ComponentSuite


def make_lineage(bundle: Bundle, run: str = "words-20260101-000000") -> Lineage:
    """A lineage with three trials: finished, stopped and failed."""
    report = DataReport(
        source="made up",
        rows_read=12,
        dropped={"empty text": 1, "duplicate": 1},
        counts={"train": {"bad": 3, "good": 3}, "valid": {"bad": 1, "good": 1}, "test": {"bad": 1, "good": 1}},
        lengths={"p5": 3, "p50": 5, "p95": 6, "max": 6},
        fingerprint="ab" * 32,
    )
    histories = [[{"epoch": epoch, "accuracy": 0.5 + 0.1 * epoch, "log_loss": 1.0 / epoch} for epoch in (1, 2, 3)]]
    histories += [[{"epoch": 1, "accuracy": 0.4, "log_loss": math.nan}], []]
    states = ("finished", "stopped", "failed")
    trials = [
        Trial(
            number=number,
            values={"learning_rate": 10.0**-number, "sampler": "full"},
            seed=7 + number,
            state=state,  # type: ignore[arg-type]
            history=history,
            metrics=dict(history[-1]) if history else {},
            epoch=len(history),
            seconds=1.5,
            error="killed: out of memory" if state == "failed" else "",
            resources={"cpu_percent": 99.0, "memory_peak_mb": 120.0},
        )
        for number, (state, history) in enumerate(zip(states, histories, strict=True))
    ]
    return Lineage(
        run=run,
        recipe='name = "words"\nseed = 7\n\n[dataset]\nuse = "made-up"\n',
        data=report,
        metric="accuracy",
        trials=trials,
        best=0,
        verdicts=(Verdict("metric-floor", "passed", "accuracy 0.8000 meets the floor of 0.5000", {"value": 0.8}),),
        metrics={"accuracy": 0.8, "log_loss": 0.25},
        bundle_hash=bundle.hash,
    )


class RegistrySuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "registries"

    @pytest.fixture
    def component(self, tmp_path: Path) -> Registry:
        """The registry under test, empty."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Bundle:
        """A bundle to register."""
        return toy_bundle(tmp_path / "kit" / "bundle")

    @pytest.fixture
    def other(self, tmp_path: Path) -> Bundle:
        """Another bundle."""
        return toy_bundle(tmp_path / "kit" / "other", classes=("negative", "positive"))

    def test_a_registry_that_was_used_can_be_sent_to_another_process(self, component: Registry) -> None:
        component.versions()
        copy = pickle.loads(pickle.dumps(component))  # noqa: S301  # our own bytes
        assert copy == component, "keep no connection and no answer in the component"

    def test_a_new_model_has_no_version_and_no_champion(self, component: Registry) -> None:
        assert component.champion() is None, "nothing was promoted"
        assert list(component.versions()) == [], "nothing was registered; the registry must be empty for each test"

    def test_tracking_twice_succeeds_and_registers_nothing(self, component: Registry, bundle: Bundle) -> None:
        lineage = make_lineage(bundle)
        component.track(lineage)
        component.track(lineage)
        assert list(component.versions()) == [], "tracking stores the trials and registers no version"

    def test_a_registered_bundle_is_the_challenger(self, component: Registry, bundle: Bundle) -> None:
        lineage = make_lineage(bundle)
        component.track(lineage)
        before = datetime.now(UTC)
        version = component.register(bundle.folder, lineage)
        assert version.model == component.model, "a version is of the component's model"
        assert version.aliases == ("challenger",), "a new version is the challenger"
        assert version.bundle_hash == bundle.hash, "a version has the hash of its bundle"
        assert version.run == lineage.run, "a version names the run of its lineage"
        assert version.metrics == lineage.metrics, "a version has the test metrics of its lineage"
        age = abs(datetime.fromisoformat(version.created) - before)
        assert age < timedelta(minutes=10), f"created is {version.created}: give the time in UTC, by ISO 8601"
        assert list(component.versions()) == [version], "`versions` lists what `register` returned"
        assert component.champion() is None, "registering promotes nothing"

    def test_a_bundle_can_be_registered_without_tracking(self, component: Registry, bundle: Bundle) -> None:
        version = component.register(bundle.folder, make_lineage(bundle))
        assert version.bundle_hash == bundle.hash, "a version has the hash of its bundle"

    def test_the_same_bundle_of_the_same_run_is_stored_once(self, component: Registry, bundle: Bundle) -> None:
        first = component.register(bundle.folder, make_lineage(bundle))
        assert component.register(bundle.folder, make_lineage(bundle)) == first, (
            "a run that goes on registers again: the same bundle of the same run is the same version"
        )
        assert len(component.versions()) == 1, "the same bundle of the same run is stored twice"

    def test_registering_the_champion_again_leaves_it_the_champion(self, component: Registry, bundle: Bundle) -> None:
        promoted = component.promote(component.register(bundle.folder, make_lineage(bundle)).version)
        assert component.register(bundle.folder, make_lineage(bundle)) == promoted, (
            "registering a version again must leave its aliases as they are"
        )

    def test_the_same_bundle_of_another_run_is_another_version(self, component: Registry, bundle: Bundle) -> None:
        first = component.register(bundle.folder, make_lineage(bundle, "first"))
        second = component.register(bundle.folder, make_lineage(bundle, "second"))
        assert [each.version for each in component.versions()] == [second.version, first.version], (
            "the same bundle of another run is a version of its own, and the newest comes first"
        )

    def test_a_damaged_bundle_is_not_registered(self, component: Registry, bundle: Bundle) -> None:
        (bundle.folder / "recipe.toml").write_text("changed", encoding="utf-8")
        with pytest.raises(BundleError):
            component.register(bundle.folder, make_lineage(bundle))
        assert list(component.versions()) == [], "a bundle that was refused must leave no version"

    def test_a_lineage_of_another_bundle_is_refused(self, component: Registry, bundle: Bundle, other: Bundle) -> None:
        with pytest.raises(RegistryError):
            component.register(bundle.folder, make_lineage(other))
        assert list(component.versions()) == [], "a bundle that was refused must leave no version"

    def test_a_new_champion_takes_only_the_alias_from_its_predecessor(
        self, component: Registry, bundle: Bundle, other: Bundle
    ) -> None:
        first = component.promote(component.register(bundle.folder, make_lineage(bundle, "first")).version)
        assert first.aliases == ("champion",), "a version that is promoted is the challenger no more"
        assert component.champion() == first, "`champion` returns what was promoted"
        challenger = component.register(other.folder, make_lineage(other, "second"))
        assert component.champion() == first, "registering must leave the champion"
        second = component.promote(challenger.version)
        assert second.aliases == ("champion",), "a version that is promoted is the challenger no more"
        assert component.champion() == second, "`champion` returns what was promoted last"
        assert list(component.versions()) == [second, dataclasses.replace(first, aliases=())], (
            "the version before loses the alias and nothing else"
        )

    def test_promoting_twice_changes_nothing(self, component: Registry, bundle: Bundle) -> None:
        version = component.register(bundle.folder, make_lineage(bundle)).version
        assert component.promote(version) == component.promote(version) == component.champion(), (
            "promoting the champion changes nothing"
        )

    def test_an_older_version_can_be_made_champion_again(
        self, component: Registry, bundle: Bundle, other: Bundle
    ) -> None:
        first = component.promote(component.register(bundle.folder, make_lineage(bundle, "first")).version)
        component.promote(component.register(other.folder, make_lineage(other, "second")).version)
        assert component.promote(first.version) == first, "a rollback promotes an older version"
        assert component.champion() == first, "`champion` returns what was promoted last"

    def test_the_fetched_bundle_is_identical(self, component: Registry, bundle: Bundle, tmp_path: Path) -> None:
        version = component.register(bundle.folder, make_lineage(bundle)).version
        folder = component.fetch(version, tmp_path / "new" / "folder")
        assert folder.is_relative_to(tmp_path / "new" / "folder"), (
            "the bundle must lie in the folder that was asked for"
        )
        assert bundles.verify(folder).hash == bundle.hash, "another bundle was fetched"
        assert _contents(folder) == _contents(bundle.folder), "all files of the bundle must come back, and no other"

    def test_the_promotion_record_is_stored_with_the_model(self, component: Registry, tmp_path: Path) -> None:
        bundle = toy_bundle(tmp_path / "kit" / "bundle", record="overridden")
        version = component.register(bundle.folder, make_lineage(bundle)).version
        fetched = bundles.verify(component.fetch(version, tmp_path / "fetched"))
        assert fetched.record is not None, "the promotion record, a file of the bundle's folder, was not stored"
        assert fetched.record == bundle.record, "the promotion record was changed"
        assert fetched.record.override is not None, "the record says no more that a person promoted the model"

    def test_each_version_has_its_own_bundle(
        self, component: Registry, bundle: Bundle, other: Bundle, tmp_path: Path
    ) -> None:
        first = component.register(bundle.folder, make_lineage(bundle, "first")).version
        second = component.register(other.folder, make_lineage(other, "second")).version
        for version, expected in ((second, other), (first, bundle)):
            fetched = component.fetch(version, tmp_path / "fetched")
            assert bundles.verify(fetched).hash == expected.hash, "the bundle of another version was fetched"

    def test_a_version_does_not_need_the_folder_it_was_registered_from(
        self, component: Registry, bundle: Bundle, tmp_path: Path
    ) -> None:
        version = component.register(bundle.folder, make_lineage(bundle)).version
        bundle.folder.rename(tmp_path / "moved")
        fetched = component.fetch(version, tmp_path / "fetched")
        assert bundles.verify(fetched).hash == bundle.hash, "store the files themselves, not where they are"

    @pytest.mark.parametrize("version", ["999", "none"])
    def test_a_version_that_does_not_exist_is_an_error_with_a_hint(
        self, component: Registry, bundle: Bundle, tmp_path: Path, version: str
    ) -> None:
        component.register(bundle.folder, make_lineage(bundle))
        with pytest.raises(RegistryError) as refused:
            component.fetch(version, tmp_path / "fetched")
        assert version in str(refused.value), "the error must name the version"
        assert refused.value.hint, "the error must say what to do, such as which versions there are"
        assert not (tmp_path / "fetched").exists(), "what cannot be fetched must leave no folder"
        with pytest.raises(RegistryError):
            component.promote(version)
        assert component.champion() is None, "a version that does not exist became the champion"

    def test_nothing_is_printed(
        self, component: Registry, bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        lineage = make_lineage(bundle)
        component.track(lineage)
        component.fetch(component.register(bundle.folder, lineage).version, tmp_path / "fetched")
        component.champion()
        assert capfd.readouterr() == ("", ""), "print nothing: raise an error of ftkit.errors, or log"


def _contents(folder: Path) -> dict[str, str]:
    """The hash of each file by its relative path."""
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in folder.rglob("*") if path.is_file()}
