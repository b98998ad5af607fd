"""Which workspace is meant, and who signs in: one rule for everything in Azure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ftkit_azure import sign_in
from ftkit_azure.options import PipelineOptions, data_parts
from ftkit_azure.workspace import InWorkspace, Workspace, configured

from ftkit.errors import UsageError

SUBSCRIPTION = "00000000-0000-0000-0000-00000000bbbb"
CONFIG = json.dumps({"subscription_id": SUBSCRIPTION, "resource_group": "group", "workspace_name": "space"})
VARIABLES = (*sign_in.PRINCIPAL, *sign_in.PROOFS, "IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZUREML_RUN_ID")


@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json", "aml_config/config.json"])
@pytest.mark.parametrize("above", [0, 2])
def test_the_workspace_is_that_of_the_nearest_config(tmp_path: Path, place: str, above: int) -> None:
    folder = tmp_path / "project" / "recipes"
    folder.mkdir(parents=True)
    config = [folder, folder.parent, tmp_path][above] / place
    config.parent.mkdir(exist_ok=True)
    config.write_text(CONFIG, encoding="utf-8-sig")
    assert configured(folder) == Workspace(SUBSCRIPTION, "group", "space")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"subscription_id": 7}', "no json"])
def test_a_config_that_names_no_workspace_is_an_error_with_a_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        configured(tmp_path)
    assert "config.json" in refused.value.where
    assert "subscription" in refused.value.hint


@pytest.mark.parametrize(
    "options", [{"subscription": SUBSCRIPTION}, {"workspace": "w"}, {"resource_group": "g", "workspace": "w"}]
)
def test_a_workspace_is_named_whole_or_not_at_all(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="together"):
        InWorkspace(**options)  # type: ignore[arg-type]


def test_an_empty_option_names_nothing() -> None:
    assert InWorkspace(subscription="", resource_group="", workspace="").place_shown == "that of config.json"


@pytest.mark.parametrize(
    ("credential", "variables", "has_cli", "chosen"),
    [
        ("auto", ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), True, "service-principal"),
        ("auto", ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"), True, "service-principal"),
        ("auto", ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"), True, "cli"),
        ("auto", ("IDENTITY_ENDPOINT",), True, "managed-identity"),
        ("auto", ("AZUREML_RUN_ID",), False, "managed-identity"),
        ("auto", (), True, "cli"),
        ("interactive", (), False, "interactive"),
        ("managed-identity", (), False, "managed-identity"),
        ("cli", (), True, "cli"),
        (
            "service-principal",
            ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
            False,
            "service-principal",
        ),
    ],
)
def test_the_first_credential_that_the_machine_has_signs_in(
    monkeypatch: pytest.MonkeyPatch, credential: str, variables: tuple[str, ...], has_cli: bool, chosen: str
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "x") if name in variables else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sign_in.shutil, "which", lambda _: "/usr/bin/az" if has_cli else None)
    assert sign_in.chosen(credential) == chosen  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("credential", "message"),
    [("auto", "no credential for Azure"), ("service-principal", "AZURE_TENANT_ID, AZURE_CLIENT_ID")],
)
def test_without_a_credential_the_ways_to_sign_in_are_named(
    monkeypatch: pytest.MonkeyPatch, credential: str, message: str
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sign_in.shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match=message) as refused:
        sign_in.chosen(credential)  # type: ignore[arg-type]
    assert "AZURE_CLIENT_SECRET" in refused.value.hint


@pytest.mark.parametrize(
    ("named", "parts"),
    [
        ("reviews", ("reviews", "", "")),
        ("reviews:3", ("reviews", "3", "")),
        ("reviews:3/a/b.json", ("reviews", "3", "a/b.json")),
        ("reviews/b.json", ("reviews", "", "b.json")),
    ],
)
def test_data_is_named_by_name_version_and_file(named: str, parts: tuple[str, str, str]) -> None:
    assert data_parts(PipelineOptions(data={"dataset.path": named}).data["dataset.path"]) == parts


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gpu_cluster", "g"),
        ("cpu_cluster", "ends-"),
        ("experiment", "-first"),
        ("max_nodes", 0),
        ("poll", 0.0),
        ("snapshot_mb", 301.0),
        ("data", {"path": "reviews"}),
        ("data", {"dataset.path": "-reviews"}),
    ],
)
def test_options_that_the_service_cannot_take_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=option):
        PipelineOptions(**{option: value})  # type: ignore[arg-type]
