"""Mistakes of a recipe are errors when it is read; those of workspace and sign-in before anything is created."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ftkit_azure.workspace import Workspace
from ftkit_azureml import AzureModels, ManagedEndpoint

from ftkit.errors import DeployError, PluginError, RecipeError, RegistryError, UsageError
from ftkit.recipe import loader
from ftkit.testing import toys

if TYPE_CHECKING:
    from tests.azure.azure import Azure

SUBSCRIPTION = "00000000-0000-0000-0000-00000000bbbb"


@pytest.mark.parametrize("name", ["ab", "1abc", "-abc", "a" * 33, "with_underscore", "ends-", "mit-ü", ""])
def test_an_endpoint_name_that_azure_would_not_take_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.toml"
    with toys.install(tmp_path / "plugins"):
        path.write_text(f'{toys.RECIPE}\n[deploy]\nuse = "managed-endpoint"\nendpoint = "{name}"\n', encoding="utf-8")
        with pytest.raises(RecipeError) as refused:
            loader.load(path)
    assert "3 to 32" in str(refused.value)
    assert f"{path.name}:" in str(refused.value)


@pytest.mark.parametrize("name", ["abc", "a-1", "Sentiment-2", "a" * 32])
def test_an_endpoint_name_that_azure_takes_is_taken(name: str) -> None:
    assert ManagedEndpoint(endpoint=name).endpoint == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_count": 0}, "instance_count"),
        ({"concurrency": 0}, "concurrency"),
        ({"request_timeout": 181}, "180"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"startup_timeout": 1}, "startup_timeout"),
        ({"mirror": 51}, "50"),
        ({"instance_type": "big one"}, "instance_type"),
        ({"subscription": SUBSCRIPTION}, "together"),
        ({"subscription": "mine", "resource_group": "g", "workspace": "w"}, "subscription must be an id"),
    ],
)
def test_options_that_azure_cannot_take_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ManagedEndpoint(endpoint="sentiment", **options)


def test_a_model_name_that_azure_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="model must be"):
        AzureModels(model="../models")


def test_neither_plugin_nor_recipe_loads_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        f'{toys.RECIPE}\n[registry]\nuse = "azureml"\nmodel = "m"\n[deploy]\nuse = "managed-endpoint"\nendpoint = "abc"\n',
        encoding="utf-8",
    )
    program = (
        "import sys\nfrom ftkit.recipe import loader\nplan = loader.load('r.toml')\nassert plan.deploy.name == 'managed-endpoint'\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('azure', 'torch', 'msrest', 'requests')])"
    )
    with toys.install(tmp_path / "plugins"):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
        )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# ------------------------------------------------------------------------------------------- workspace


def test_a_job_of_the_workspace_needs_no_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in zip(("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME"), (SUBSCRIPTION, "g", "w"), strict=True):
        monkeypatch.setenv(f"AZUREML_ARM_{name}", value)
    assert AzureModels(model="m").place == Workspace(SUBSCRIPTION, "g", "w")


def test_a_workspace_that_does_not_exist_is_an_error_before_anything_is_created(azureml: Azure) -> None:
    elsewhere = {"subscription": SUBSCRIPTION, "resource_group": "nowhere", "workspace": "nothing"}
    with pytest.raises(RegistryError, match="no such workspace"):
        AzureModels(model="m", **elsewhere).champion()  # type: ignore[arg-type]
    with pytest.raises(DeployError, match="no such workspace"):
        ManagedEndpoint(endpoint="abc", **elsewhere).describe()  # type: ignore[arg-type]
    assert not azureml.requests("PUT", "management")


# ---------------------------------------------------------------------------------------------- sign-in


def test_a_refused_sign_in_names_the_variables_and_shows_no_secret(azureml: Azure) -> None:
    azureml.identity.refusing = True
    with pytest.raises(DeployError) as refused:
        ManagedEndpoint(endpoint="abc").prepare()
    assert "refused the sign-in" in str(refused.value)
    assert "AZURE_CLIENT_SECRET" in refused.value.hint
    assert not [each for each in azureml.secrets if each in str(refused.value)]
    assert not azureml.requests("PUT", "management")


def test_an_incomplete_principal_is_an_error_that_names_its_variables(
    azureml: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    with pytest.raises(UsageError) as refused:
        AzureModels(model="m", credential="service-principal").champion()
    assert "AZURE_CLIENT_SECRET" in refused.value.hint


def test_without_any_credential_the_ways_to_sign_in_are_named(
    azureml: Azure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))  # no `az` anywhere
    with pytest.raises(UsageError) as refused:
        AzureModels(model="m").champion()
    assert "az login" in refused.value.hint


def test_whoever_is_signed_in_to_the_cli_signs_in(
    azureml: Azure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.azure.identity import token

    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    answer = {
        "accessToken": token("https://management.azure.com"),
        "expiresOn": "2099-01-01 00:00:00.000000",
        "expires_on": 4070908800,
    }
    command = tmp_path / "bin" / "az"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n", encoding="utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    assert AzureModels(model="m").champion() is None
    assert not azureml.requests("POST", "login.microsoftonline.com")


def test_the_managed_identity_of_a_machine_signs_in(azureml: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    azureml.machine.has_identity = True
    assert AzureModels(model="m", credential="managed-identity").champion() is None
    assert azureml.requests("GET", "169.254.169.254/metadata/identity")


def test_a_missing_sdk_says_which_command_brings_it(azureml: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.ai.ml", None)
    with pytest.raises(PluginError) as refused:
        AzureModels(model="m").champion()
    assert refused.value.hint == "pip install azure-ai-ml"
