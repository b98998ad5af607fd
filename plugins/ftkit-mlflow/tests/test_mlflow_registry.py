"""The registry `mlflow` with a real MLflow: a SQLite file and a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ftkit_mlflow import MLflow, addresses, connection
from mlflow import MlflowClient

from ftkit import plugins
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts import Registry
from ftkit.errors import RegistryError
from ftkit.testing.bundles import toy_record
from ftkit.testing.registries import RegistrySuite, make_lineage


class TestSQLite(RegistrySuite):
    @pytest.fixture
    def component(self, shared: str, model: str) -> Registry:
        return MLflow(model=model, tracking_uri=shared)


class TestServer(RegistrySuite):
    @pytest.fixture
    def component(self, server: str, model: str) -> Registry:
        return MLflow(model=model, tracking_uri=server)


def test_the_plugin_offers_the_registry():
    assert plugins.load().find("registries", "mlflow") is MLflow


def test_by_default_everything_is_in_the_home_folder(tmp_path, monkeypatch, bundle):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    MLflow(model="reviews").register(bundle.folder, make_lineage(bundle))
    assert (tmp_path / "home" / "mlflow.db").is_file()
    assert list((tmp_path / "home" / "mlflow-artifacts").glob("reviews/*/artifacts/model-*/bundle/manifest.json"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_artifacts_go_where_the_option_says(tmp_path, shared, model, bundle):
    registry = MLflow(
        model=model, tracking_uri=shared, artifacts=(tmp_path / "shelf").as_uri(), experiment="an attempt/2"
    )
    registry.register(bundle.folder, make_lineage(bundle))
    assert list((tmp_path / "shelf" / "an_attempt_2").rglob("MLmodel"))


def test_the_model_registry_may_be_another_database(tmp_path, shared, model, bundle):
    MLflow(model=model, tracking_uri=shared).champion()
    shutil.copy(addresses.sqlite_file(shared), tmp_path / "models.db")  # faster than creating the tables
    registry = MLflow(model=model, tracking_uri=shared, registry_uri=f"sqlite:///{tmp_path / 'models.db'}")
    version = registry.promote(registry.register(bundle.folder, make_lineage(bundle)).version)
    assert registry.champion() == version
    assert MLflow(model=model, tracking_uri=shared).champion() is None
    assert bundles.verify(registry.fetch(version.version, tmp_path / "fetched")).hash == bundle.hash


def test_a_version_carries_its_lineage(shared, model, bundle):
    lineage = make_lineage(bundle)
    MLflow(model=model, tracking_uri=shared).register(bundle.folder, lineage)
    version = MlflowClient(shared).get_model_version(model, "1")
    assert version.tags["ftkit.bundle"] == bundle.hash
    assert version.tags["ftkit.run"] == lineage.run
    assert version.tags["ftkit.data"] == lineage.data.fingerprint
    assert json.loads(version.tags["ftkit.classes"]) == ["bad", "good"]
    assert json.loads(version.tags["ftkit.metrics"]) == lineage.metrics
    assert version.tags["ftkit.verdict.1.metric-floor"].startswith("passed: accuracy 0.8000")
    assert "accuracy 0.8000" in version.description
    stored = json.loads((_place(shared, model) / "lineage.json").read_text())
    assert stored["recipe"] == lineage.recipe
    assert stored["data"]["dropped"] == {"empty text": 1, "duplicate": 1}
    assert [trial["state"] for trial in stored["trials"]] == ["finished", "stopped", "failed"]
    assert stored["trials"][1]["metrics"]["log_loss"] is None, "NaN is no JSON"
    assert "folder" not in stored


def test_no_artifact_is_a_pickle(shared, model, bundle):
    MLflow(model=model, tracking_uri=shared).register(bundle.folder, make_lineage(bundle))
    place = _place(shared, model)
    paths = [path for path in place.rglob("*") if path.is_file()]
    assert {path.name for path in paths} >= {"MLmodel", "requirements.txt", "manifest.json"}
    assert not [path for path in paths if path.suffix in (".pkl", ".pickle", ".joblib", ".bin", ".pt")]
    assert not [path for path in paths if path.read_bytes()[:1] == b"\x80"], "a pickle begins with this byte"
    assert "ftkit_mlflow.model" in (place / "MLmodel").read_text()


def test_artifacts_that_were_deleted_are_an_error_that_names_the_version(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.promote(registry.register(bundle.folder, make_lineage(bundle)).version)
    shutil.rmtree(_place(shared, model))
    with pytest.raises(RegistryError, match="artifacts are no longer in the store") as refused:
        registry.fetch("1", tmp_path / "fetched")
    assert f"{model} version 1" in refused.value.where
    assert refused.value.hint
    assert not (tmp_path / "fetched").exists()


def test_registering_again_restores_lost_artifacts(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle))
    shutil.rmtree(_place(shared, model))
    assert registry.register(bundle.folder, make_lineage(bundle)).version == "1"
    assert bundles.verify(registry.fetch("1", tmp_path / "fetched")).hash == bundle.hash


def test_changed_artifacts_are_not_fetched(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle))
    (_place(shared, model) / "bundle" / "recipe.toml").write_text("changed")
    with pytest.raises(RegistryError, match=r"were changed: .*recipe\.toml"):
        registry.fetch("1", tmp_path / "fetched")
    assert list(tmp_path.glob("*fetched*")) == []


def test_a_bundle_that_replaces_another_is_not_fetched(shared, model, bundle, tmp_path):
    from ftkit.testing.bundles import toy_bundle

    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle))
    shutil.rmtree(_place(shared, model) / "bundle")
    toy_bundle(_place(shared, model) / "bundle", classes=("no", "yes"))
    with pytest.raises(RegistryError, match="its bundle was replaced"):
        registry.fetch("1", tmp_path / "fetched")


def test_a_promotion_record_that_replaces_another_is_not_fetched(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle))
    records.write(_place(shared, model) / "bundle", toy_record(bundle.hash, "overridden"))
    with pytest.raises(RegistryError, match="its promotion record was replaced"):
        registry.fetch("1", tmp_path / "fetched")
    path = _place(shared, model) / "bundle" / records.NAME
    path.write_bytes(path.read_bytes().replace(b"it is a toy", b"it is a tax"))
    with pytest.raises(RegistryError, match="record was changed"):
        registry.fetch("1", tmp_path / "fetched")


def test_a_version_gets_the_new_record_of_an_overridden_bundle(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    first = registry.register(bundle.folder, make_lineage(bundle))
    before = registry.fetch(first.version, tmp_path / "fetched")
    records.write(bundle.folder, toy_record(bundle.hash, "overridden"))
    assert registry.register(bundle.folder, make_lineage(bundle)).version == first.version
    fetched = bundles.verify(registry.fetch(first.version, before))
    assert fetched.record == toy_record(bundle.hash, "overridden")


def test_fetching_into_a_folder_with_other_files_changes_nothing(shared, model, bundle, tmp_path):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(RegistryError, match="something other than a bundle"):
        registry.fetch("1", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_version_that_ftkit_did_not_register_is_listed_and_not_fetched(shared, model, tmp_path):
    client = MlflowClient(shared)
    client.create_registered_model(model)
    client.create_model_version(model, (tmp_path / "foreign").as_uri())
    client.set_registered_model_alias(model, "champion", "1")
    registry = MLflow(model=model, tracking_uri=shared)
    champion = registry.champion()
    assert champion is not None
    assert (champion.version, champion.bundle_hash) == ("1", "")
    with pytest.raises(RegistryError, match="was not registered by ftkit"):
        registry.fetch("1", tmp_path / "fetched")


def test_a_deleted_champion_leaves_no_champion(shared, model, bundle):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.promote(registry.register(bundle.folder, make_lineage(bundle)).version)
    MlflowClient(shared).delete_model_version(model, "1")
    assert registry.champion() is None
    assert registry.register(bundle.folder, make_lineage(bundle)).aliases == ("challenger",)


def test_registering_an_old_bundle_again_does_not_unseat_a_newer_challenger(shared, model, bundle):
    registry = MLflow(model=model, tracking_uri=shared)
    registry.register(bundle.folder, make_lineage(bundle, "first"))
    registry.register(bundle.folder, make_lineage(bundle, "second"))
    assert registry.register(bundle.folder, make_lineage(bundle, "first")).aliases == ()
    assert registry.versions()[0].aliases == ("challenger",)


def test_registering_continues_after_a_crash_at_any_call(shared, model, bundle, monkeypatch):
    registry = MLflow(model=model, tracking_uri=shared)
    real = connection._client(shared, shared)
    calls = 0
    for last in range(0, 1000, 6):
        run = f"run-{last}"
        broken = _Crashing(real, last)
        with monkeypatch.context() as patched:
            patched.setattr(connection, "_client", lambda *_, broken=broken: broken)
            try:
                registry.register(bundle.folder, make_lineage(bundle, run))
            except KeyboardInterrupt:
                calls += 1
            else:
                break
        version = registry.register(bundle.folder, make_lineage(bundle, run))
        assert version.aliases == ("challenger",)
        stored = [each for each in registry.versions() if each.run == run]
        assert stored == [version], "stored once"
        assert _written(shared, model, run) == _written(shared, model, "run-0"), f"crash after {last} calls"
    assert calls > 5, "all parts of the work were interrupted once"


def test_several_processes_can_create_one_file_at_the_same_moment(tmp_path, bundle):
    script = (
        "import sys; from pathlib import Path; from ftkit.bundle import bundle; from ftkit_mlflow import MLflow;"
        "from ftkit.testing.registries import make_lineage;"
        "verified = bundle.verify(sys.argv[1]); registry = MLflow(model='reviews');"
        "lineage = make_lineage(verified, sys.argv[2]); registry.track(lineage);"
        "registry.promote(registry.register(verified.folder, lineage).version)"
    )

    def run(number: int) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FTKIT_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", script, str(bundle.folder), f"run-{number}"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(run, range(3)))
    assert [(each.returncode, each.stderr, each.stdout) for each in ended] == [(0, "", "")] * 3
    registry = MLflow(model="reviews", tracking_uri=f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    assert sorted(each.version for each in registry.versions()) == ["1", "2", "3"]
    assert {each.run for each in registry.versions()} == {"run-0", "run-1", "run-2"}
    assert registry.champion() is not None


def test_a_call_waits_for_a_locked_file(shared, model, bundle, monkeypatch):
    from mlflow.exceptions import MlflowException

    real = connection._client(shared, shared)
    busy = _Busy(real._client, times=1)
    monkeypatch.setattr(connection, "_client", lambda *_: connection._WaitingClient(busy))
    assert MLflow(model=model, tracking_uri=shared).register(bundle.folder, make_lineage(bundle)).version == "1"
    assert busy.refused > 10
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    with pytest.raises(MlflowException):
        connection._call_when_unlocked(_locked)


def test_importing_the_plugin_loads_no_mlflow_and_using_it_connects_to_nothing(tmp_path, bundle):
    script = """
import sys
from pathlib import Path
connections = []
watched = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")
sys.addaudithook(lambda event, arguments: connections.append((event, arguments[1:])) if event in watched else None)
import ftkit_mlflow
from ftkit.bundle import bundle
registry = ftkit_mlflow.MLflow(model="reviews")
print("mlflow" in sys.modules)
from ftkit.testing.registries import make_lineage
verified = bundle.verify(sys.argv[1])
registry.track(make_lineage(verified))
registry.fetch(registry.promote(registry.register(verified.folder, make_lineage(verified)).version).version, Path(sys.argv[2]))
print("mlflow" in sys.modules)
import mlflow.telemetry
print(mlflow.telemetry.get_telemetry_client())
print(connections)
"""
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ("CI", "PYTEST_CURRENT_TEST", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")
    }
    ended = subprocess.run(
        [sys.executable, "-c", script, str(bundle.folder), str(tmp_path / "fetched")],
        capture_output=True,
        text=True,
        env={**clean, "FTKIT_HOME": str(tmp_path / "home")},
        timeout=200,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == ["False", "True", "None", "[]"]


def test_the_environment_is_as_before_but_for_the_telemetry(shared, model, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    before = {**os.environ}
    MLflow(model=model, tracking_uri=shared).champion()
    changed = {key for key in {**os.environ, **before} if os.environ.get(key) != before.get(key)}
    assert changed <= {"MLFLOW_DISABLE_TELEMETRY"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "a/b"}, "letters, digits"),
        ({"model": ""}, "letters, digits"),
        ({"model": "it's"}, "letters, digits"),
        ({"model": ".."}, "letters, digits"),
        ({"model": "m", "tracking_uri": "mlflow.db"}, "must be an address"),
        ({"model": "m", "tracking_uri": "http://me:secret@host"}, "must not hold a password"),
        ({"model": "m", "experiment": " "}, "must not be empty"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message) as refused:
        MLflow(**options)
    assert "secret" not in str(refused.value)


class _Crashing:
    """A client whose process dies after some calls."""

    def __init__(self, client: Any, calls: int) -> None:
        self.client, self.calls = client, calls

    def __getattr__(self, name: str) -> Any:
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return getattr(self.client, name)


class _Busy:
    """A client whose calls each fail a few times because the file is locked."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.times, self.refused = client, times, 0

    def __getattr__(self, name: str) -> Any:
        left = [self.times]

        def call(*arguments: Any, **named: Any) -> Any:
            if left[0]:
                left[0] -= 1
                self.refused += 1
                _locked()
            return getattr(self.client, name)(*arguments, **named)

        return call


def _locked() -> None:
    from mlflow.exceptions import MlflowException

    raise MlflowException("(sqlite3.OperationalError) database is locked")


def _place(uri: str, model: str, version: str = "1") -> Path:
    """The folder of a version's artifacts."""
    return Path(MlflowClient(uri).get_model_version_download_uri(model, version).removeprefix("file://"))


def _written(uri: str, model: str, run: str) -> list[Any]:
    """What MLflow has of a run, without the values that differ between any two runs."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(model)
    runs = client.search_runs([experiment.experiment_id], f"tags.`ftkit.run` = '{run}'")
    rows = []
    for each in runs:
        curves = {
            key: [(point.step, point.value) for point in client.get_metric_history(each.info.run_id, key)]
            for key in each.data.metrics
        }
        tags = {key: value for key, value in each.data.tags.items() if key.startswith("ftkit.")}
        for key in ("ftkit.run", "ftkit.lineage"):
            tags.pop(key, None)
        rows.append((each.info.run_name.replace(run, "RUN"), each.info.status, each.data.params, curves, tags))
    return sorted(rows, key=repr)
