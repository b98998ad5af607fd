"""What goes into an image, how its container is run, and what is said where there is no engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ftkit_container import engine as engines
from ftkit_container.deployer import ContainerDeployer

from ftkit import cli, runner
from ftkit.contracts import NATIVE, Health
from ftkit.errors import DeployError, PluginError
from ftkit.serving import http_client
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle

GREAT = {"data": [{"text": GOOD}]}


def settled(deployer: ContainerDeployer, deployment: str) -> Health:
    ends = time.monotonic() + 120
    while (health := deployer.health(deployment)).state == "starting":
        assert time.monotonic() < ends, health.reason
        time.sleep(0.05)
    return health


def test_the_folder_holds_what_the_image_needs_and_nothing_else(
    containers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PASSWORD", "s3cr3t-pass-phrase")
    bundle = toy_bundle(tmp_path / "bundle")
    ContainerDeployer.package(bundle.folder, tmp_path / "context", NATIVE)
    folder = tmp_path / "context"
    assert {each.name for each in folder.iterdir()} == {
        "Dockerfile", ".dockerignore", "requirements.txt", "wheels", "bundle", "sample_request.json", "README.md"
    }  # fmt: skip
    lines = (folder / "Dockerfile").read_text().splitlines()
    assert lines[0] == f"FROM docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert "USER 1000" in lines[: next(at for at, each in enumerate(lines) if each.startswith("ENTRYPOINT"))]
    assert any(each.startswith("HEALTHCHECK") for each in lines)
    assert (folder / ".dockerignore").read_text().split()[0] == "*"
    assert "numpy==2.0" in (folder / "requirements.txt").read_text().splitlines()
    texts = [each.read_bytes() for each in folder.rglob("*") if each.is_file()]
    assert not [text for text in texts if b"s3cr3t" in text]
    assert containers.joinpath("commands").exists() is False  # no engine is needed


def test_the_program_of_the_image_serves_the_bundle_and_its_check_sees_that(
    containers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ContainerDeployer.package(toy_bundle(tmp_path / "bundle").folder, tmp_path / "context", NATIVE)
    written = (tmp_path / "context" / "Dockerfile").read_text().replace("\\\n", "")
    program, check = (json.loads(re.findall(rf"{name} .*?(\[.*\])", written)[0]) for name in ("ENTRYPOINT", "CMD"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setenv("FTKIT_KEY", "secret-of-callers")
    at = {"python": sys.executable, "/bundle": str(tmp_path / "context" / "bundle")}
    command = [at.get(each, each) for each in program]
    checking = [at.get(each, each).replace("8080", port) for each in check]
    with subprocess.Popen([*command, "--host", "127.0.0.1", "--port", port], stderr=subprocess.PIPE) as server:
        try:
            ends = time.monotonic() + 60
            while subprocess.run(checking, capture_output=True).returncode:
                assert server.poll() is None and time.monotonic() < ends
                time.sleep(0.1)
            url = f"http://127.0.0.1:{port}/score"
            assert http_client.invoke(url, "secret-of-callers", GREAT, None, "kit", 10) == ["good"]
        finally:
            server.terminate()
    assert subprocess.run(checking, capture_output=True).returncode != 0


def test_torch_comes_from_where_this_machine_has_it(
    containers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftkit_container import context

    bundle = toy_bundle(tmp_path / "bundle")
    for version, first in (("2.6.0+cpu", "--extra-index-url"), ("2.6.0", "numpy==2.0")):
        monkeypatch.setattr(context.metadata, "version", lambda _, version=version: version)
        context.package(bundle, tmp_path / version)
        assert (tmp_path / version / "requirements.txt").read_text().startswith(first)


def test_a_container_has_no_network_no_rights_and_no_secret_of_its_caller(
    container_endpoint: Callable[..., ContainerDeployer],
    containers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_PASSWORD", "s3cr3t-pass-phrase")
    deployer = container_endpoint()
    deployer.prepare()
    deployer.create("blue", toy_bundle(tmp_path / "bundle").folder)
    assert settled(deployer, "blue").state == "ready"
    assert deployer.invoke(GREAT, "blue") == ["good"]
    ran = next(each for each in (containers / "commands").read_text().splitlines() if each.startswith("run "))
    for part in ("--network none", "--read-only", "--cap-drop ALL", f"--user {os.getuid()}:", "/bundle:ro"):
        assert part in ran
    assert "PASSWORD" not in ran and "s3cr3t" not in ran
    image = next((containers / "images").iterdir())
    deployer.delete("blue")
    assert not image.exists() and not (deployer.folder.root / "contexts" / "blue").exists()


def test_an_image_that_cannot_be_built_is_a_deployment_that_failed(
    container_endpoint: Callable[..., ContainerDeployer], containers: Path, tmp_path: Path
) -> None:
    (containers / "no-network").touch()
    deployer = container_endpoint()
    deployer.prepare()
    deployer.create("blue", toy_bundle(tmp_path / "bundle").folder)
    health = settled(deployer, "blue")
    assert health.state == "failed"
    assert "could not find a version" in health.log and "could not be built" in health.log


def test_a_backbone_that_is_not_installed_is_refused_and_leaves_nothing(
    container_endpoint: Callable[..., ContainerDeployer], tmp_path: Path
) -> None:
    deployer = container_endpoint()
    deployer.prepare()
    with pytest.raises(PluginError):
        deployer.create("blue", toy_bundle(tmp_path / "bundle", use="no-such-backbone").folder)
    assert not list(deployer.folder.deployments.iterdir())
    assert not list((deployer.folder.root / "contexts").iterdir())


def test_export_asks_which_folder_where_several_deployers_can_write_one(
    containers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ftkit_azureml")
    plan = toys.plan(tmp_path, {"search.trials": 1, "promote": [{"use": "metric-floor", "floor": 0.6}]})
    run = runner.run(plan, lambda _: None).run
    folder = tmp_path / "out"
    assert cli.main(["export", run, "--out", str(folder)]) == 2
    assert "--for container or " in capsys.readouterr().err
    assert not folder.exists()
    assert cli.main(["export", run, "--out", str(folder), "--for", "container"]) == 0
    assert (folder / "Dockerfile").is_file() and (folder / "bundle" / "promotion.json").is_file()


def test_an_engine_that_does_not_run_is_said_with_the_cure_before_anything_begins(
    container_endpoint: Callable[..., ContainerDeployer], containers: Path
) -> None:
    (containers / "down").touch()
    deployer = container_endpoint()
    with pytest.raises(DeployError, match="not running: Cannot connect to the Docker daemon") as refused:
        deployer.prepare()
    assert "systemctl start docker" in refused.value.hint
    assert deployer.describe() is None


def test_without_an_engine_the_folder_is_what_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PluginError, match="not installed") as refused:
        ContainerDeployer(endpoint="kit").prepare()
    assert "ftkit export RUN --for container" in refused.value.hint
    with pytest.raises(PluginError, match="podman is not installed"):
        engines.path("podman")


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the command docker; no engine has to run")
def test_the_real_command_without_an_engine_behind_it_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DeployError, match="not running") as refused:
        engines.require(engines.path("docker"))
    assert "none.sock" in refused.value.what
