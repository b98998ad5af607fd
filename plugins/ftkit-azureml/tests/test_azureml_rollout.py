"""Rollouts to a managed endpoint: what goes wrong on the wire or in Azure leaves the traffic as it was, and nothing behind."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from ftkit_azure.images import IMAGE
from ftkit_azureml import ManagedEndpoint, assets, endpoint
from ftkit_azureml.scoring import needs

from ftkit import __version__
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts.settings import Rollout
from ftkit.errors import BundleError, DeployError, PluginError
from ftkit.events import DeploymentChanged, Event
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

if TYPE_CHECKING:
    from tests.azure.azure import Azure

QUICK = Rollout(bake=0.0, poll=0.05)
GREAT = {"data": [{"text": GOOD}]}
ROOT = Path(__file__).parents[3]

Make = Callable[..., ManagedEndpoint]


@pytest.fixture
def blue(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "blue", ("bad", "good"))


@pytest.fixture
def green(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "green", ("poor", "fine"))


def live(deployer: ManagedEndpoint, bundle: Bundle, name: str = "blue") -> None:
    """Put a bundle live, and see that it is."""
    assert roll_out(deployer, bundle, name, QUICK, lambda _: None).traffic == {name: 100}


def as_it_was(deployer: ManagedEndpoint) -> None:
    """Blue has all the traffic and answers; nobody else is there."""
    described = deployer.describe()
    assert described is not None
    assert [(each.name, each.traffic, each.state) for each in described.deployments] == [("blue", 100, "ready")]
    assert deployer.invoke(GREAT) == ["good"]


# ------------------------------------------------------------------------------------------- as it should


def test_blue_gives_way_to_green_step_by_step(endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure) -> None:
    deployer = endpoints(mirror=50, tags={"team": "reviews"})
    events: list[Event] = []
    live(deployer, blue)
    endpoint = roll_out(deployer, green, "green", dataclasses.replace(QUICK, canary=(20, 60)), events.append)
    assert azureml.endpoints.shares[-3:] == [{"blue": 80, "green": 20}, {"blue": 40, "green": 60}, {"green": 100}]
    assert [each.name for each in endpoint.deployments] == ["green"]
    steps = [each.step for each in events if isinstance(each, DeploymentChanged)]
    assert list(dict.fromkeys(steps)) == [
        "created",
        "is starting",
        "became ready",
        "passed the smoke test",
        "gets copies",
        "retired",
    ]
    assert any("Azure is creating it" in each.detail for each in events if isinstance(each, DeploymentChanged))
    assert azureml.endpoints.resources[deployer.endpoint]["tags"]["team"] == "reviews"


def test_copies_of_the_traffic_reach_a_deployment_that_nobody_asks(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure
) -> None:
    deployer = endpoints(mirror=50)
    live(deployer, blue)
    deployer.create("green", green.folder)
    azureml.operations.wait()
    deployer.mirror_to("green")
    assert {deployer.invoke(GREAT)[0] for _ in range(40)} == {"good"}
    assert azureml.scoring.mirrored.count("green") >= 5
    deployer.delete("green")
    as_it_was(deployer)


def test_every_body_is_what_microsofts_schemas_allow(
    endpoints: Make, blue: Bundle, green: Bundle, azure_schemas: Azure
) -> None:
    deployer = endpoints(tags={"team": "reviews"}, mirror=10)
    live(deployer, blue)
    live(deployer, green, "green")
    assert azure_schemas.schemas is not None
    assert azure_schemas.schemas.checked >= 10
    assert not azure_schemas.complaints


def test_a_deployment_has_the_options_of_the_recipe(endpoints: Make, blue: Bundle, azureml: Azure) -> None:
    deployer = endpoints(
        instance_type="Standard_F4s_v2", instance_count=2, request_timeout=30, startup_timeout=600, concurrency=4
    )
    deployer.prepare()
    deployer.create("blue", blue.folder)
    azureml.operations.wait()
    deployment = azureml.endpoints.deployments[deployer.endpoint, "blue"]
    properties = deployment["properties"]
    assert (properties["instanceType"], deployment["sku"]["capacity"]) == ("Standard_F4s_v2", 2)
    assert properties["requestSettings"] == {
        "maxConcurrentRequestsPerInstance": 4,
        "maxQueueWait": "PT30S",
        "requestTimeout": "PT30S",
    }
    assert properties["livenessProbe"] == properties["readinessProbe"]
    assert properties["livenessProbe"]["failureThreshold"] == 60
    assert properties["livenessProbe"]["timeout"] == "PT30S"
    assert deployment["tags"]["ftkit.bundle"] == blue.hash
    assert blue.record is not None
    assert deployment["tags"]["ftkit.record"] == blue.record.digest


def test_the_environment_pins_what_the_bundle_needs_and_wheels_travel_with_the_code(
    endpoints: Make, blue: Bundle, azureml: Azure
) -> None:
    import yaml

    deployer = endpoints()
    deployer.prepare()
    deployer.create("blue", blue.folder)
    azureml.operations.wait()
    ((_, _, version), environment) = next(
        item for item in azureml.assets.versions.items() if item[0][0] == "environments"
    )
    conda = yaml.safe_load(environment["properties"]["condaFile"])
    pins = conda["dependencies"][2]["pip"]
    assert pins[0].startswith("azureml-inference-server-http==")
    assert all("==" in each for each in pins)
    names = {each.partition("==")[0] for each in pins}
    assert {"numpy", "ftkit-toys"} <= names
    assert not names & {"torch", "azure-ai-ml", "mlflow", "fastapi", "ftkit", "pydantic"}
    server = azureml.scoring.server(deployer.endpoint, "blue")
    assert [path.name for path in (server.folder / "code" / "wheels").iterdir()] == [
        f"ftkit-{__version__}-py3-none-any.whl"
    ]
    assert "from /" in (log := server.log.read_text()) and "ftkit-wheels-" in log, "ftkit comes from its wheel"
    deployer.create("again", blue.folder)
    azureml.operations.wait()
    assets = [key for key in azureml.assets.versions if key[0] in ("environments", "models")]
    assert len(assets) == 2, f"the same needs are the same environment {version}, the same bundle the same model"


@pytest.mark.parametrize(("passed", "engine"), [(True, "auto"), (False, "auto"), (True, "half"), (True, "native")])
def test_what_may_answer_is_installed(tmp_path: Path, azureml: Azure, passed: bool, engine: str) -> None:
    bundle = toy_bundle(tmp_path / "bundle", engines={"half": passed})
    pins = needs(bundle, IMAGE, engine=engine).distributions.pins
    wanted = passed and engine != "native"
    assert ("onnxruntime" in {each.partition("==")[0] for each in pins}) is wanted


def test_an_endpoint_that_takes_tokens_is_asked_with_one(endpoints: Make, blue: Bundle, azureml: Azure) -> None:
    deployer = endpoints(auth="aad-token")
    live(deployer, blue)
    assert deployer.invoke(GREAT) == ["good"]
    assert not azureml.requests("POST", "listKeys")
    described = deployer.describe()
    assert described is not None
    assert described.key_command.startswith("az account get-access-token")
    with pytest.raises(DeployError, match="aad_token"):
        dataclasses.replace(deployer, auth="key").prepare()


def test_the_promotion_record_is_asked_for_before_anything_is_uploaded(
    endpoints: Make, tmp_path: Path, azureml: Azure
) -> None:
    deployer = endpoints()
    deployer.prepare()
    with pytest.raises(DeployError, match="promotion record"):
        deployer.create("blue", toy_bundle(tmp_path / "bundle", record="none").folder)
    assert not azureml.requests("PUT", "blob.core")


def test_a_backbone_that_is_not_installed_is_said_before_anything_is_uploaded(
    endpoints: Make, tmp_path: Path, azureml: Azure
) -> None:
    deployer = endpoints()
    deployer.prepare()
    with pytest.raises(PluginError, match="no-such-backbone"):
        deployer.create("blue", toy_bundle(tmp_path / "bundle", use="no-such-backbone").folder)
    assert not azureml.requests("PUT", "blob.core")


def test_what_the_endpoint_refuses_is_told_as_the_server_says_it(endpoints: Make, blue: Bundle) -> None:
    deployer = endpoints(max_rows=2)
    live(deployer, blue)
    with pytest.raises(DeployError, match=r"422: data\[0\].text is missing"):
        deployer.invoke({"data": [{"txt": GOOD}]})
    with pytest.raises(DeployError, match="413"):
        deployer.invoke({"data": [{"text": GOOD}] * 3})
    assert deployer.invoke({"data": [{"text": BAD}], "scores": True})[0]["label"] == "bad"


# ------------------------------------------------------------------------------------- what goes wrong


def test_a_deployment_that_fails_to_start_shows_its_log_and_leaves_nothing(
    endpoints: Make, blue: Bundle, tmp_path: Path, azureml: Azure
) -> None:
    deployer = endpoints()
    live(deployer, blue)
    broken = toy_bundle(tmp_path / "broken", beside={"weights.npy": "no weights"})
    with pytest.raises(DeployError) as failed:
        roll_out(deployer, broken, "green", QUICK, lambda _: None)
    assert "failed to start" in str(failed.value)
    assert "the toy model cannot be read" in str(failed.value), "the container's own log"
    as_it_was(deployer)


def test_a_failed_smoke_test_leaves_nothing(endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure) -> None:
    from tests.azure.messages import answer

    deployer = endpoints()
    live(deployer, blue)
    azureml.fail("POST", "inference.ml.azure.com/score", answer(["nonsense", "fine"]))
    with pytest.raises(DeployError, match='"nonsense" is no class'):
        roll_out(deployer, green, "green", QUICK, lambda _: None)
    as_it_was(deployer)


@pytest.mark.parametrize("when", ["requested", "created", "created, reason late"])
def test_a_quota_that_is_used_up_says_what_to_do_and_leaves_nothing(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure, when: str
) -> None:
    from tests.azure.faults import quota_exceeded
    from tests.azure.messages import answer
    from tests.azure.v2.operations import PACE

    deployer = endpoints()
    live(deployer, blue)
    if when == "created, reason late":
        azureml.fail("GET", "/mfeOperationsStatus/", answer({"status": "InProgress"}, headers=PACE), times=20)
    if when == "requested":
        azureml.fail("PUT", "/deployments/green", quota_exceeded())
    else:
        azureml.deployments.failing.append(("OutOfQuota", "Not enough quota available for Standard DSv2 Family vCPUs."))
    with pytest.raises(DeployError) as failed:
        roll_out(deployer, green, "green", QUICK, lambda _: None)
    assert "quota" in str(failed.value)
    assert "instance_type" in str(failed.value)
    as_it_was(deployer)


def test_an_operation_that_ends_while_health_is_asked_still_gives_its_reason(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftkit_azureml import operations
    from ftkit_azureml.online import Online

    from tests.azure.messages import answer
    from tests.azure.v2.operations import PACE

    deployer = endpoints()
    live(deployer, blue)
    azureml.fail("GET", "/mfeOperationsStatus/", answer({"status": "InProgress"}, headers=PACE), times=20)
    azureml.deployments.failing.append(("OutOfQuota", "Not enough quota available for Standard DSv2 Family vCPUs."))
    look = Online.deployment

    def look_after_the_end(online: Online, deployment: str) -> object:
        if poller := operations._pollers.get(deployer._key(deployment)):
            with suppress(Exception):  # the operation ends between what Azure is asked first and what it is asked next
                poller.wait(60)
        return look(online, deployment)

    monkeypatch.setattr(Online, "deployment", look_after_the_end)
    with pytest.raises(DeployError, match="quota"):
        roll_out(deployer, green, "green", QUICK, lambda _: None)


def test_a_deletion_that_fails_is_a_warning_and_green_is_live(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure
) -> None:
    from tests.azure.messages import refusal

    deployer = endpoints()
    live(deployer, blue)
    azureml.fail("DELETE", "/deployments/blue", refusal(400, "Conflict", "There is a lock on this resource."), times=9)
    events: list[Event] = []
    endpoint = roll_out(deployer, green, "green", QUICK, events.append)
    assert endpoint.traffic == {"green": 100}
    assert any("blue could not be removed" in str(each) and "lock" in str(each) for each in events)


@pytest.mark.parametrize("fault", ["throttled", "failing", "lost"])
def test_what_passes_by_itself_stops_no_rollout(endpoints: Make, blue: Bundle, azureml: Azure, fault: str) -> None:
    from tests.azure.faults import server_error, too_many_requests

    responses = {"throttled": too_many_requests(1), "failing": server_error(), "lost": None}
    struck = [
        azureml.fail("PUT", place, responses[fault], cut="answer" if fault == "lost" else "")
        for place in ("onlineEndpoints/kit-endpoint$", "/deployments/blue$", "/models/")
    ]
    live(endpoints(), blue)
    assert [each.struck for each in struck] == [1, 1, 1]


def test_an_upload_that_is_cut_off_is_made_again(
    endpoints: Make, blue: Bundle, azureml: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    fault = azureml.fail("PUT", "blob.core.windows.net/.*weights", cut="upload")
    live(endpoints(), blue)
    assert fault.struck == 1


def test_a_network_that_stays_cut_leaves_the_traffic_and_the_next_run_goes_on(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    deployer = endpoints()
    live(deployer, blue)
    fault = azureml.fail("PUT", "blob.core.windows.net/.*weights", cut="upload", times=99)
    with pytest.raises(DeployError) as failed:
        roll_out(deployer, green, "green", QUICK, lambda _: None)
    assert not [each for each in azureml.secrets if each in str(failed.value)]
    as_it_was(deployer)
    azureml.faults.remove(fault)
    live(deployer, green, "green")


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage SDK waits a quarter of a minute before it tries again; here it need not."""
    from azure.storage.blob._shared import policies

    monkeypatch.setattr(policies.StorageRetryPolicy, "sleep", lambda *_, **__: None)


# -------------------------------------------------------------------------------------------- killed


@contextmanager
def rollouts() -> Iterator[subprocess.Popen[str]]:
    """A process that carries out rollouts, each in a process of its own: see tests.azure.killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.azure.killed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(60)


def test_a_client_killed_after_any_call_that_changes_something_finishes_when_run_again(
    endpoints: Make, blue: Bundle, green: Bundle, azureml: Azure
) -> None:
    deployer = endpoints()
    live(deployer, blue)
    kills, ended = 0, -signal.SIGKILL
    with rollouts() as process:
        while ended:
            name, bundle = ("green", green) if kills % 2 == 0 else ("blue", blue)
            running: list[int] = []
            changes = r"management\.azure\.com/.*/(onlineEndpoints|models|environments|codes)/"
            fault = azureml.fail("PUT|DELETE", changes, cut="answer", after=kills, then=lambda to=running: killed(to))  # type: ignore[misc]
            ended = carried_out(process, deployer.endpoint, bundle, name, running)
            azureml.faults.remove(fault)
            assert ended == (-signal.SIGKILL if fault.struck else 0)
            kills += fault.struck
            assert deployer.invoke(GREAT) in (["good"], ["fine"]), "callers are answered at any time"
            if ended:
                assert carried_out(process, deployer.endpoint, bundle, name, []) == 0
            after = deployer.describe()
            assert after is not None
            assert [(each.name, each.traffic, each.bundle_hash) for each in after.deployments] == [
                (name, 100, bundle.hash)
            ]
            assert deployer.invoke(GREAT) == [bundle.classes[1]]
    assert kills >= 4, "code, deployment, traffic and removal at the least"


def killed(running: list[int]) -> None:
    """Kill the rollout that is carried out, as soon as its process id is known."""
    while not running:
        time.sleep(0.01)
    os.kill(running[0], signal.SIGKILL)


def carried_out(
    process: subprocess.Popen[str], endpoint: str, bundle: Bundle, deployment: str, running: list[int]
) -> int:
    """The exit code of a rollout, whose process id is put into `running` when it begins."""
    assert process.stdin and process.stdout
    process.stdin.write(f"{endpoint}\t{bundle.folder}\t{deployment}\n")
    process.stdin.flush()
    running.append(int(process.stdout.readline()))
    return int(process.stdout.readline())


# ------------------------------------------------------------------------------------- changed bundles


@pytest.mark.parametrize("lasting", [True, False], ids=["seen after the upload", "seen by the container"])
def test_a_byte_that_changes_while_a_bundle_is_uploaded_is_told_and_that_model_is_not_used_again(
    endpoints: Make, green: Bundle, azureml: Azure, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    weights, upload = green.folder / "model" / "weights.npy", assets.model
    whole = weights.read_bytes()

    def spoilt(azure: object, bundle: Bundle) -> str:
        weights.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
        return upload(azure, bundle)

    def verify(folder: Path) -> Bundle:
        if not lasting:
            weights.write_bytes(whole)  # it was read wrongly once, for the upload
        return bundles.verify(folder)

    monkeypatch.setattr("ftkit_azureml.assets.model", spoilt)
    monkeypatch.setattr("ftkit_azureml.assets.bundles", SimpleNamespace(verify=verify))
    with pytest.raises(BundleError if lasting else DeployError) as caught:
        roll_out(endpoints(), green, "green", QUICK, lambda _: None)
    assert "changed since it was written: model/weights.npy" in caught.value.what.splitlines()[0]
    models = [asset for (kind, *_), asset in azureml.assets.versions.items() if kind == "models"]
    assert [("ftkit.record" in asset["properties"]["tags"]) for asset in models] == [not lasting]


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "INFO ready\nERROR the bundle cannot be served: /m: the bundle is damaged: missing: a\n  Fetch it.",
            "/m: the bundle is damaged: missing: a",
        ),
        ("Traceback\nSystemExit: the bundle cannot be served: no memory\nWorker exiting", "no memory"),
        ("ERROR the bundle cannot be served\nTraceback", ""),
        ("", ""),
    ],
)
def test_the_reason_of_a_container_that_ended_is_what_its_script_said_of_the_bundle(log: str, reason: str) -> None:
    assert endpoint._refused(log) == reason


# -------------------------------------------------------------------------------------------- secrets


def test_no_secret_is_in_events_errors_or_what_is_printed(
    endpoints: Make,
    blue: Bundle,
    green: Bundle,
    azureml: Azure,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "ftkit")
    deployer = endpoints()
    events: list[Event] = []
    roll_out(deployer, blue, "blue", QUICK, events.append)
    azureml.deployments.failing.append(
        ("BadArgument", f"cannot read {next(iter(azureml.storage.blobs))}?sig={azureml.secrets[1]}")
    )
    with pytest.raises(DeployError) as failed:
        roll_out(deployer, green, "green", QUICK, events.append)
    printed = "".join(capfd.readouterr())
    assert printed == ""
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("ftkit"))
    everything = [*map(str, events), str(failed.value), ours, str(deployer.describe())]
    for text in everything:
        assert not [each for each in azureml.secrets if each in text], text
    assert any("failed to start" in text for text in everything)
