"""What goes wrong before anything is created: each is an error that says how to go on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ftkit_azure.sign_in import PRINCIPAL, PROOFS
from ftkit_hyperdrive import sdk, workspace

from ftkit import runner
from ftkit.errors import FtkitError, PluginError, StageError, UsageError
from ftkit.recipe import loader
from ftkit.runs import ledger
from tests import recipes
from tests.azure.azure import Azure
from tests.azure.workspace import WORKSPACE


@pytest.fixture
def toy(tmp_path: Path, azure_folder: Path) -> Iterator[Path]:
    with recipes.written(tmp_path) as path:
        yield path


def refused(path: Path, kind: type[FtkitError], **options: Any) -> FtkitError:
    """The error with which a run ends."""
    overrides = {f"run.{name}": value for name, value in options.items()}
    with pytest.raises(kind) as caught:
        runner.run(loader.load(path, overrides, on="hyperdrive"), lambda event: None)
    assert caught.value.hint
    return caught.value


def nothing_was_created(azure: Azure) -> bool:
    changes = [each for each in azure.exchanges if each.request.method in ("PUT", "PATCH", "DELETE")]
    posted = [each for each in azure.exchanges if each.request.method == "POST" and "/token" not in each.request.path]
    return not changes and not posted and not azure.v1.runs.runs


def test_a_refused_sign_in(azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "a-wrong-secret-that-nobody-may-read")
    error = refused(toy, StageError)
    assert "Azure refused the sign-in" in error.what
    assert "AADSTS7000215" in error.what
    assert "a-wrong-secret-that-nobody-may-read" not in str(error)
    assert "AZURE_CLIENT_SECRET" in error.hint
    assert nothing_was_created(azure)
    assert not ledger.runs()


def test_no_credential_at_all(azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert "there is no credential" in refused(toy, UsageError).what
    error = refused(toy, UsageError, credential="service-principal")
    assert "AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH not set" in error.what
    assert not azure.exchanges


def test_another_workspace(azure: Azure, toy: Path) -> None:
    (toy.parent / "config.json").write_text(
        json.dumps(
            {"subscription_id": "00000000-0000-0000-0000-00000000aaaa", "resource_group": "g", "workspace_name": "w"}
        )
    )
    error = refused(toy, StageError)
    assert "there is no such workspace" in error.what
    assert error.where == "g/w"
    assert nothing_was_created(azure)


@pytest.mark.parametrize("content", [None, "{", '{"subscription_id": "x"}'])
def test_no_workspace_or_a_broken_config(azure: Azure, toy: Path, content: str | None) -> None:
    config = toy.parent / "config.json"
    if content is None:
        config.unlink()
    else:
        config.write_text(content)
    error = refused(toy, UsageError)
    assert "config.json" in error.hint
    assert not azure.exchanges


def test_a_cluster_that_is_not_there(azure: Azure, toy: Path) -> None:
    error = refused(toy, StageError, gpu_cluster="a100s")
    assert error.what == "the workspace has no cluster 'a100s'"
    assert "cpu-cluster, gpu-cluster" in error.hint
    assert "create_clusters" in error.hint
    assert nothing_was_created(azure)


def test_a_snapshot_that_is_too_large(azure: Azure, toy: Path) -> None:
    error = refused(toy, StageError, snapshot_mb=0.01)
    assert "more than snapshot_mb = 0.01" in error.what
    assert "wheels/ftkit-" in error.where
    assert nothing_was_created(azure)


def test_python_3_12(azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", type("Version", (tuple,), {"major": 3, "minor": 12})((3, 12, 4)))
    with pytest.raises(PluginError, match=r"this is 3\.12") as caught:
        sdk.require()
    assert "azureml" in caught.value.hint


def test_the_sdk_is_not_installed(azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "_is_installed", lambda module: module == "azureml.core")
    error = refused(toy, PluginError)
    assert error.hint == "pip install azureml-pipeline-steps azureml-train-core"
    assert not azure.exchanges


def test_checking_a_recipe_loads_no_sdk() -> None:
    import subprocess

    script = (
        "import sys; from ftkit.cli import main; code = main(['check', 'recipes/bert_automotive.toml', '--on', 'hyperdrive']);"
        "loaded = [name for name in sys.modules if name.partition('.')[0] in ('azureml', 'torch', 'azure')];"
        "assert not loaded, loaded; sys.exit(code)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_managed_identity_of_a_machine_signs_in(azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PRINCIPAL, *PROOFS):
        monkeypatch.delenv(name, raising=False)
    azure.machine.has_identity = True
    platform = loader.load(toy, {"run.credential": "managed-identity"}, on="hyperdrive").platform
    assert workspace.connect(platform).name == WORKSPACE
    assert azure.requests("GET", "169.254.169.254/metadata/identity")
    assert not azure.requests("POST", "login.microsoftonline.com")


def test_whoever_is_signed_in_to_the_cli_signs_in(
    azure: Azure, toy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.azure.identity import token

    for name in (*PRINCIPAL, *PROOFS):
        monkeypatch.delenv(name, raising=False)
    answer = {
        "accessToken": token("https://management.azure.com"),
        "expiresOn": "2099-01-01 00:00:00.000000",
        "expires_on": 4070908800,
        "tenant": "00000000-0000-0000-0000-000000000001",
        "tokenType": "Bearer",
    }
    command = tmp_path / "bin" / "az"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    platform = loader.load(toy, {"run.credential": "cli"}, on="hyperdrive").platform
    assert workspace.connect(platform).name == WORKSPACE
    assert not azure.requests("POST", "login.microsoftonline.com")
