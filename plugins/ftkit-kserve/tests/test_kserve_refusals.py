"""What a cluster refuses, and what breaks on the way: a clear error, and nothing left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ftkit_kserve import cluster, routing, storage
from ftkit_kserve.deployer import KServe

from ftkit.bundle.bundle import Bundle
from ftkit.errors import DeployError
from ftkit.testing.bundles import toy_bundle

if TYPE_CHECKING:
    from tests.kserve.loopback import Loopback

Make = Callable[..., KServe]
SERVICE = "inferenceservices"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle")


@pytest.fixture(autouse=True)
def paused(kserve: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no deployment needs to start."""
    kserve.controller.paused = True
    monkeypatch.setattr(cluster, "PAUSE", 0.01)


def nothing_left(kserve: Loopback) -> None:
    """Only the endpoint itself is there."""
    assert kserve.api.all(SERVICE) == []
    assert list((kserve.claim / "ftkit").glob("*/*")) == []
    for route in kserve.api.all("httproutes"):
        assert len(route["spec"]["rules"]) == 1


@pytest.mark.parametrize(
    ("options", "what", "hint"),
    [
        ({"context": "nowhere"}, "no credentials for a cluster.*nowhere", "kubectl config get-contexts"),
        ({"context": "expired"}, "does not take the credentials", "Sign in again"),
        ({"context": "gone"}, "does not answer", "deploy.context"),
        ({"namespace": "elsewhere"}, "no namespace 'elsewhere'", "kubectl create namespace elsewhere"),
        ({"gateway": "gateways/other"}, "no Gateway gateways/other", "deploy.gateway"),
    ],
)
def test_a_place_that_is_not_there_is_told_before_anything_is_made(
    endpoints: Make, kserve: Loopback, options: dict[str, Any], what: str, hint: str
) -> None:
    with pytest.raises(DeployError, match=what) as refused:
        endpoints(**options).prepare()
    assert hint in refused.value.hint
    assert kserve.api.all("httproutes") == kserve.api.all("secrets") == []


@pytest.mark.parametrize(
    ("group", "what"), [("serving.kserve.io", "KServe"), ("gateway.networking.k8s.io", "the Gateway API")]
)
def test_what_is_not_installed_is_told_by_its_name(endpoints: Make, kserve: Loopback, group: str, what: str) -> None:
    kserve.api.groups.remove(group)
    with pytest.raises(DeployError, match=f"{what} is not installed in this cluster"):
        endpoints().prepare()
    assert kserve.api.all("secrets") == []
    if what == "KServe":
        endpoints().stop()


def test_no_kubeconfig_at_all(endpoints: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(DeployError, match="no credentials") as refused:
        endpoints().prepare()
    assert "KUBECONFIG" in refused.value.hint


def test_in_a_pod_its_own_account_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the token and the authority that a cluster puts into every pod, over TLS."""
    from kubernetes.config import incluster_config

    from tests.azure.certificates import Authority
    from tests.kserve.api_server import TOKEN, ApiServer

    authority = Authority(tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority.file))
    with contextlib.closing(ApiServer(tls=authority.context("127.0.0.1"))) as api:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        assert cluster.connect(None, "models", "kit").select(cluster.SERVICE, "a=b") == []
        assert api.calls


@pytest.mark.parametrize("right", [("create", SERVICE), ("update", "httproutes")])
def test_a_right_that_is_missing_is_named_and_nothing_is_left(
    endpoints: Make, kserve: Loopback, bundle: Bundle, right: tuple[str, str]
) -> None:
    endpoint = endpoints()
    endpoint.prepare()
    kserve.controller.paused = False
    kserve.api.forbidden.add(right)
    with pytest.raises(DeployError, match=f'cannot {right[0]} resource "{right[1]}"') as refused:
        endpoint.create("blue", bundle.folder)
    assert "Role" in refused.value.hint
    nothing_left(kserve)


def test_what_a_webhook_refuses_is_told_and_nothing_is_left(endpoints: Make, kserve: Loopback, bundle: Bundle) -> None:
    endpoint = endpoints()
    endpoint.prepare()
    kserve.api.check = lambda body: "admission webhook denied the request: no" if body["kind"] != "HTTPRoute" else ""
    with pytest.raises(DeployError, match="422: admission webhook denied the request"):
        endpoint.create("blue", bundle.folder)
    nothing_left(kserve)


def test_a_route_of_somebody_else_is_not_touched(endpoints: Make, kserve: Loopback) -> None:
    theirs = {"kind": "HTTPRoute", "metadata": {"namespace": "models", "name": "kit"}, "spec": {"rules": []}}
    kserve.api.put("httproutes", {**theirs, "spec": {"parentRefs": [{}], "rules": []}})
    with pytest.raises(DeployError, match="which ftkit has not made"):
        endpoints().prepare()
    assert kserve.api.all("httproutes")[0]["spec"]["rules"] == []


def test_a_gateway_that_takes_no_route_is_told_with_its_reason(
    endpoints: Make, kserve: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "SETTLING", 0.3)
    kserve.controller.route_accepted = "No listener allows this host"
    with pytest.raises(DeployError, match="NoMatchingListenerHostname: No listener allows this host"):
        endpoints().prepare()


def test_a_change_by_somebody_else_in_between_is_kept(endpoints: Make, kserve: Loopback, bundle: Bundle) -> None:
    endpoint = endpoints()
    endpoint.prepare()

    def annotate() -> None:
        kserve.api.before_update = lambda: None
        route = kserve.api.all("httproutes")[0]
        kserve.api.put("httproutes", {**route, "metadata": {**route["metadata"], "annotations": {"theirs": "yes"}}})

    kserve.api.before_update = annotate
    endpoint.create("blue", bundle.folder)
    route = kserve.api.all("httproutes")[0]
    assert route["metadata"]["annotations"] == {"theirs": "yes"}
    assert len(route["spec"]["rules"]) == 2


def test_a_route_that_changes_all_the_time_ends_in_an_error(endpoints: Make, kserve: Loopback, bundle: Bundle) -> None:
    endpoint = endpoints()
    endpoint.prepare()
    kserve.controller.paused = False

    def change() -> None:
        kserve.api.put("httproutes", kserve.api.all("httproutes")[0])

    kserve.api.before_update = change
    with pytest.raises(DeployError, match="again and again"):
        endpoint.create("blue", bundle.folder)
    nothing_left(kserve)


@pytest.mark.parametrize("status", [0, 503], ids=["cut", "overloaded"])
def test_what_passes_by_itself_is_not_noticed(endpoints: Make, kserve: Loopback, bundle: Bundle, status: int) -> None:
    from tests.kserve.api_server import Fault

    faults = [
        Fault("GET", SERVICE, status),
        Fault("GET", "secrets", status),
        Fault("PUT", "httproutes", status, after=not status),
    ]
    kserve.api.faults += faults
    endpoint = endpoints()
    endpoint.prepare()
    endpoint.create("blue", bundle.folder)
    assert [each.times for each in faults] == [0, 0, 0]
    assert len(kserve.api.all("httproutes")[0]["spec"]["rules"]) == 2


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "lost"])
def test_a_creation_that_is_cut_off_is_undone(endpoints: Make, kserve: Loopback, bundle: Bundle, after: bool) -> None:
    from tests.kserve.api_server import Fault

    endpoint = endpoints()
    endpoint.prepare()
    kserve.controller.paused = False
    kserve.api.faults.append(Fault("POST", SERVICE, after=after))
    with pytest.raises(DeployError, match="does not answer"):
        endpoint.create("blue", bundle.folder)
    nothing_left(kserve)


def test_a_service_that_never_gets_ready_shows_its_conditions(
    endpoints: Make, kserve: Loopback, bundle: Bundle
) -> None:
    kserve.controller.paused = False
    waiting = {"status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: insufficient cpu."}
    kserve.controller.stuck["kit-blue"] = waiting
    endpoint = endpoints()
    endpoint.prepare()
    endpoint.create("blue", bundle.folder)
    told = "Unschedulable: 0/3 nodes are available: insufficient cpu."
    while told not in (health := endpoint.health("blue")).reason:
        assert health.state == "starting"
    assert health.reason.count("insufficient") == 1, "a message that two conditions have is shown once"
    kserve.controller.stuck["kit-blue"] = {**waiting, "reason": "ProgressDeadlineExceeded"}
    while (health := endpoint.health("blue")).state == "starting":
        pass
    assert health.state == "failed"
    assert "insufficient cpu" in health.log


def test_a_deployment_name_that_kubernetes_would_not_take_is_refused(endpoints: Make, bundle: Bundle) -> None:
    endpoint = endpoints()
    endpoint.prepare()
    for name in ("v1.0", "Blue", "b" * 60):
        with pytest.raises(DeployError, match="no name in Kubernetes"):
            endpoint.create(name, bundle.folder)


def test_two_that_create_one_deployment_do_not_undo_each_other(
    endpoints: Make, kserve: Loopback, bundle: Bundle
) -> None:
    endpoint = endpoints()
    endpoint.prepare()
    endpoint.create("blue", bundle.folder)
    with pytest.raises(DeployError, match="already"):
        endpoint.create("blue", bundle.folder)
    assert [each["metadata"]["name"] for each in kserve.api.all(SERVICE)] == ["kit-blue"]
    assert (kserve.claim / "ftkit" / "kit" / "blue" / bundle.hash[:16] / "manifest.json").exists()


def test_a_creation_that_fails_leaves_what_somebody_else_created_in_that_moment(
    endpoints: Make, kserve: Loopback, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.kserve.api_server import Fault

    endpoint, store = endpoints(), storage.store
    endpoint.prepare()
    other = toy_bundle(tmp_path / "other", classes=("poor", "fine"))

    def overtaken(*arguments: Any) -> None:
        store(*arguments)
        monkeypatch.setattr(storage, "store", store)
        endpoint.create("blue", other.folder)
        kserve.api.faults.append(Fault("POST", SERVICE, status=422))

    monkeypatch.setattr(storage, "store", overtaken)
    with pytest.raises(DeployError):
        endpoint.create("blue", bundle.folder)
    assert [each.times for each in kserve.api.faults] == [0], "the creation was to fail"
    (service,) = kserve.api.all(SERVICE)
    assert service["metadata"]["annotations"]["ftkit/bundle"] == other.hash
    assert [each.name for each in (kserve.claim / "ftkit" / "kit" / "blue").iterdir()] == [other.hash[:16]]
