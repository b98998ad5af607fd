"""A whole run with Azure as registry and target; the answers are those of the local endpoint, byte for byte; and the folder for doing it by hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from ftkit_azureml import ManagedEndpoint
from ftkit_local.deployer import LocalDeployer

from ftkit import cli, events
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError, UsageError
from ftkit.runner import run
from ftkit.runs import ledger
from ftkit.stages.export import export
from ftkit.stages.rollout import roll_out
from ftkit.testing import toys
from ftkit.testing.backbones import tiny_bert
from ftkit.testing.bundles import BAD, GOOD, toy_bundle, toy_record

if TYPE_CHECKING:
    from tests.azure.azure import Azure

QUICK = Rollout(bake=0.0, poll=0.05)
AZURE = {"rollout.bake": 0.0, "rollout.poll": 0.05, "deploy": {"use": "managed-endpoint", "endpoint": "toy-endpoint"}}

BODIES = [
    b'{"data": [{"text": "' + GOOD.encode() + b'"}, {"text": "' + BAD.encode() + b'"}]}',
    b'{"data": [{"text": "sturdy"}, {"text": "broke"}], "scores": true}',
    '{"data": [{"text": "größer, 日本語, \\ud83d\\ude00"}], "scores": true}'.encode(),
    b'{"data": []}',
    b'{"data": [{"text": 7}]}',
    b'{"data": [{"txt": "sturdy"}]}',
    b'{"dta": []}',
    b"no json",
    b"",
]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDeployer]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    deployer = LocalDeployer(endpoint="toy-endpoint", threads=1)
    yield deployer
    deployer.stop()


def test_the_deployment_target_is_one_word_and_the_answers_are_the_same_bytes(
    azureml: Azure, azure_scoring: Azure, local: LocalDeployer, tmp_path: Path
) -> None:
    from tests.azure.v2.endpoints import KEY

    bundle = toy_bundle(tmp_path / "bundle")
    remote = ManagedEndpoint(endpoint="toy-endpoint")
    for deployer in (local, remote):
        assert roll_out(deployer, bundle, "blue", QUICK, lambda _: None).traffic == {"blue": 100}
    here, there = local.describe(), remote.describe()
    assert here is not None and there is not None
    for body in BODIES:
        with requests.Session() as direct:
            direct.trust_env = False
            one = direct.post(here.url, body, headers={"Authorization": f"Bearer {here.key}"}, timeout=30)
        other = requests.post(there.url, body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
        assert other.content == one.content, body
        assert other.headers["Content-Type"] == one.headers["Content-Type"]
        status = other.headers.get("ms-azureml-model-error-statuscode", other.status_code)
        assert int(status) == one.status_code


def test_a_run_registers_and_deploys_in_azure_and_defends_its_champion(
    azureml: Azure, azure_scoring: Azure, azure_folder: Path
) -> None:
    registry = {"registry": {"use": "azureml", "model": "reviews"}}
    promote = {"promote": [{"use": "metric-floor", "floor": 0.6}, {"use": "beats-champion"}]}
    plan = toys.plan(azure_folder, {**AZURE, **registry, **promote})
    emitted: list[events.Event] = []
    outcome = run(plan, emitted.append)
    assert outcome.promoted
    assert outcome.version is not None and outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None and outcome.endpoint.traffic == {outcome.deployment: 100}
    assert plan.deploy is not None
    assert plan.deploy.invoke({"data": [{"text": GOOD}, {"text": BAD}]}) == ["good", "bad"]
    again = run(toys.plan(azure_folder, {**AZURE, **registry, **promote, "search.trials": 1}), emitted.append)
    assert again.champion is not None and again.champion.bundle_hash == bundles.verify(outcome.bundle).hash
    written = "".join(map(str, emitted)) + "".join(
        path.read_text(errors="replace") for path in outcome.folder.rglob("*") if path.is_file()
    )
    assert not [each for each in azureml.secrets if each in written]


def test_a_sign_in_that_is_refused_ends_a_run_before_anything_is_trained(azureml: Azure, azure_folder: Path) -> None:
    azureml.identity.refusing = True
    with pytest.raises(DeployError, match="refused the sign-in"):
        run(toys.plan(azure_folder, AZURE), lambda _: None)
    assert not ledger.runs()[0].trials()


# ---------------------------------------------------------------------------------------------- by hand


@pytest.fixture
def finished(azure_folder: Path, azureml: Azure) -> str:
    """A run that was promoted, and deployed nowhere."""
    plan = toys.plan(azure_folder, {"search.trials": 1, "promote": [{"use": "metric-floor", "floor": 0.6}]})
    return run(plan, lambda _: None).run


def test_an_exported_folder_is_served_by_microsofts_server_alone(
    finished: str, azure_scoring: Azure, tmp_path: Path
) -> None:
    from tests.azure.fixtures import require_scoring

    folder = export(finished, tmp_path / "by-hand", "managed-endpoint")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "code",
        "conda.yml",
        "deployment.yml",
        "endpoint.yml",
        "model",
        "requirements.txt",
        "sample_request.json",
    }
    with served(require_scoring(), folder) as address:
        answer = requests.post(f"{address}/score", (folder / "sample_request.json").read_bytes(), timeout=30)
    bundle = bundles.verify(folder / "model")
    expected = bundle.predict([row["text"] for row in bundle.sample_request["data"]])
    assert (answer.status_code, answer.json()) == (200, expected)


def test_the_sdk_reads_the_exported_files(finished: str, tmp_path: Path) -> None:
    from azure.ai.ml import load_online_deployment, load_online_endpoint

    folder = export(finished, tmp_path / "by-hand", "managed-endpoint")
    assert load_online_endpoint(folder / "endpoint.yml").auth_mode == "key"
    deployment = load_online_deployment(folder / "deployment.yml")
    assert deployment.code_configuration.scoring_script == "score.py"
    assert deployment.environment.conda_file["name"] == "ftkit"


def test_the_command_writes_the_folder_once(finished: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", finished, "--for", "managed-endpoint", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    assert cli.main(command) == 2
    assert "not replaced" in capsys.readouterr().err


def test_a_target_that_cannot_be_deployed_by_hand_is_refused_with_those_that_can(finished: str) -> None:
    with pytest.raises(UsageError) as refused:
        export(finished, target="local")
    assert "managed-endpoint" in refused.value.hint


def test_a_model_that_was_not_let_through_is_not_exported(azure_folder: Path, azureml: Azure, tmp_path: Path) -> None:
    plan = toys.plan(azure_folder, {"search.trials": 1, "promote": [{"use": "metric-floor", "floor": 1.0}]})
    outcome = run(plan, lambda _: None)
    assert not outcome.promoted
    with pytest.raises(DeployError, match="may not be deployed"):
        export(outcome.run, tmp_path / "out", "managed-endpoint")
    assert not (tmp_path / "out").exists()


@contextmanager
def served(python: Path, folder: Path) -> Iterator[str]:
    """The folder served as its README says, on a free port."""
    from tests.azure.v2 import scoring

    about: dict[str, Any] = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "AML_APP_ROOT": "code",
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AZUREML_MODEL_DIR": "model",
    }
    process: subprocess.Popen[bytes] = scoring.serve(python, folder, folder.with_suffix(".log"), about)
    try:
        yield f"http://127.0.0.1:{scoring.wait(process, folder.with_suffix('.log'))}"
    finally:
        scoring.end(process)


# ------------------------------------------------------------------------------------------ a real encoder


def test_an_encoder_whose_plugin_is_not_installed_there_answers_the_same_bytes(
    azureml: Azure, azure_scoring: Azure, local: LocalDeployer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ftkit-bert is no part of the environment that serves: it comes with the code, as a wheel."""
    from tests.azure.v2.endpoints import KEY

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bundle = encoder(tmp_path)
    remote = ManagedEndpoint(endpoint="toy-endpoint")
    for deployer in (local, remote):
        roll_out(deployer, bundle, "blue", QUICK, lambda _: None)
    here, there = local.describe(), remote.describe()
    assert here is not None and there is not None
    body = json.dumps({"data": [{"text": f"{GOOD} {number}"} for number in range(20)], "scores": True}).encode()
    with requests.Session() as direct:
        direct.trust_env = False
        one = direct.post(here.url, body, headers={"Authorization": f"Bearer {here.key}"}, timeout=30)
    other = requests.post(there.url, body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    assert (other.status_code, other.content) == (200, one.content)
    server = azureml.scoring.server("toy-endpoint", "blue")
    wheels = sorted(path.name.partition("-")[0] for path in (server.folder / "code" / "wheels").iterdir())
    assert wheels == ["ftkit", "ftkit_bert"]
    pins = (server.folder / "environment.yml").read_text()
    assert "- torch==" in pins and "- transformers==" in pins


def encoder(folder: Path) -> bundles.Bundle:
    """A bundle of a small BERT with random weights, let through by a record."""
    from ftkit_bert import BertBaseCased

    checkpoint = tiny_bert(folder / "checkpoint")
    data = toys.ToyReviews(rows=60).load(7, lambda _: None).without_test()
    backbone = BertBaseCased(checkpoint=str(checkpoint), epochs=1, batch_size=8)
    model = folder / "model"
    model.mkdir()
    backbone.fit(data, 7, lambda *_, **__: True).save(model)
    bundle = bundles.write(
        folder / "bundle",
        model=model,
        classes=data.classes,
        backbone={"use": backbone.name},
        recipe='name = "toy"\n',
        card="# A toy\n",
        sample_texts=[GOOD, BAD],
        about={"run": "toy"},
    )
    records.write(bundle.folder, toy_record(bundle.hash))
    return bundle
