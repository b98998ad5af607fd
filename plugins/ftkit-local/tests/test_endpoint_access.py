"""Who may send an endpoint which requests, and how it refuses others."""

from __future__ import annotations

import os
import socket
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit.bundle.bundle import Bundle
from ftkit.errors import DeployError
from ftkit.testing.bundles import GOOD, toy_bundle

Make = Callable[..., LocalDeployer]
BODY = {"data": [{"text": GOOD}]}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle")


def test_only_requests_with_the_key_are_answered(
    endpoint_named: Make, endpoint_ready: Callable[..., None], bundle: Bundle
) -> None:
    deployer = endpoint_named()
    endpoint = deployer.prepare()
    base = endpoint.url.removesuffix("/score")
    deployer.create("only", bundle.folder)
    endpoint_ready(deployer, "only")
    with httpx2.Client(base_url=base, trust_env=False, verify=False) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": endpoint.key}):
            refused = client.post("/score", json=BODY, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "Authorization: Bearer KEY" in refused.json()["hint"]
            assert client.get("/model", headers=headers).status_code == 401
        not_text = client.post("/score", json=BODY, headers=[(b"Authorization", b"Bearer \xff\xfe")])
        assert not_text.status_code == 401

        assert client.get("/healthz").status_code == 200
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["reason"]) == (503, "no deployment has traffic")
        deployer.set_traffic({"only": 100})
        assert client.get("/readyz").status_code == 200
        assert client.get("/docs").status_code == 200
        document = client.get("/openapi.json").json()
        assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
        assert document["paths"]["/score"]["post"]["security"]

        key = {"Authorization": f"Bearer {endpoint.key}"}
        answer = client.post("/score", json=BODY, headers=key)
        assert answer.json() == ["good"]
        assert answer.headers["x-ftkit-deployment"] == "only"

        infer, texts = f"/v2/models/{deployer.endpoint}/infer", {"name": "text", "datatype": "BYTES", "shape": [1]}
        request = {"inputs": [{**texts, "data": [GOOD]}]}
        assert "key is missing" in client.post(infer, json=request).json()["error"]
        inferred = client.post(infer, json=request, headers=key)
        assert inferred.json()["outputs"][0]["data"] == ["good"]
        assert inferred.headers["x-ftkit-deployment"] == "only"
        nowhere = client.post(infer, json=request, headers={**key, "x-ftkit-deployment": "never-was"})
        assert (nowhere.status_code, list(nowhere.json())) == (404, ["error"])
        assert answer.headers["x-ftkit-bundle"] == bundle.hash
        assert "front;dur=" in answer.headers["server-timing"]
        assert client.get("/model", headers=key).json()["hash"] == bundle.hash
        assert client.post("/score", content=b"{", headers=key).status_code == 400
        assert client.post("/score", content=b" " * 5_000_000, headers=key).status_code == 413
        unknown = client.post("/score", json=BODY, headers={**key, "x-ftkit-deployment": "gone"})
        assert unknown.status_code == 404
        assert "'gone'" in unknown.json()["error"]


def test_the_key_and_the_admin_socket_are_for_the_user_alone(endpoint_named: Make) -> None:
    deployer = endpoint_named()
    endpoint = deployer.prepare()
    folder = deployer.folder
    assert stat.S_IMODE(folder.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert folder.key.read_text().strip() == endpoint.key
    base = endpoint.url.removesuffix("/score")
    key = {"Authorization": f"Bearer {endpoint.key}"}
    for method, path in (("GET", "/status"), ("POST", "/stop"), ("PUT", "/traffic"), ("DELETE", "/deployments/x")):
        assert httpx2.request(method, base + path, headers=key, trust_env=False).status_code == 404


def test_with_auth_none_no_key_is_needed(
    endpoint_named: Make, endpoint_ready: Callable[..., None], bundle: Bundle
) -> None:
    deployer = endpoint_named(auth="none")
    endpoint = deployer.prepare()
    assert endpoint.key == ""
    deployer.create("only", bundle.folder)
    endpoint_ready(deployer, "only")
    deployer.set_traffic({"only": 100})
    assert httpx2.post(endpoint.url, json=BODY, trust_env=False).json() == ["good"]
    with pytest.raises(DeployError, match="runs with auth 'none'"):
        endpoint_named(auth="key").prepare()


def test_the_traffic_comes_out_exactly(
    endpoint_named: Make, endpoint_ready: Callable[..., None], bundle: Bundle
) -> None:
    deployer = endpoint_named()
    endpoint = deployer.prepare()
    for name in ("a", "b"):
        deployer.create(name, bundle.folder)
    for name in ("a", "b"):
        endpoint_ready(deployer, name)
    deployer.set_traffic({"a": 87, "b": 13})
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    with httpx2.Client(trust_env=False, verify=False, headers=headers) as client:
        answers = [client.post(endpoint.url, json=BODY).headers["x-ftkit-deployment"] for _ in range(100)]
        assert Counter(answers) == {"a": 87, "b": 13}
        pinned = client.post(endpoint.url, json=BODY, headers={"X-Ftkit-Deployment": "b"})
        assert pinned.headers["x-ftkit-deployment"] == "b"


def test_the_error_names_a_port_that_is_taken(endpoint_named: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        deployer = endpoint_named(port=port)
        with pytest.raises(DeployError, match=f"port {port} is taken") as caught:
            deployer.prepare()
        assert "deploy.port" in caught.value.hint
        assert deployer.describe() is None
    assert f":{port}/" in deployer.prepare().url


def test_a_port_chosen_once_is_kept(endpoint_named: Make) -> None:
    deployer = endpoint_named()
    first = deployer.prepare()
    deployer.stop()
    assert deployer.describe() is None
    again = deployer.prepare()
    assert (again.url, again.key) == (first.url, first.key)
    port = int(again.url.split(":")[2].split("/")[0])
    with pytest.raises(DeployError, match="runs with port"):
        endpoint_named(port=port + 1).prepare()
    assert endpoint_named(port=port).prepare().url == again.url


def test_a_host_that_is_not_this_machine_is_refused(endpoint_named: Make) -> None:
    with pytest.raises(DeployError, match="cannot listen"):
        endpoint_named(host="192.0.2.1").prepare()
    with pytest.raises(DeployError, match="no address"):
        endpoint_named(host="no.such.host.invalid").prepare()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0", "auth": "none"}, "would let anybody"),
        ({"endpoint": "../up"}, "is no name"),
        ({"endpoint": ""}, "is no name"),
        ({"port": 70000}, "port"),
        ({"threads": -1}, "threads"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"max_rows": 0}, "max_rows"),
        ({"max_batch": 0}, "max_batch"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalDeployer(**{"endpoint": "kit", **options})  # type: ignore[arg-type]


def test_a_deployment_whose_name_is_a_path_is_refused(endpoint_named: Make, bundle: Bundle) -> None:
    deployer = endpoint_named()
    deployer.prepare()
    with pytest.raises(DeployError, match="is no name"):
        deployer.create("../../x", bundle.folder)


def test_an_endpoint_works_in_a_folder_too_deep_for_sockets(
    endpoint_named: Make, endpoint_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = endpoint_home.joinpath(*["a-folder-with-a-rather-long-name"] * 5)
    monkeypatch.setenv("FTKIT_HOME", str(deep))
    deployer = endpoint_named()
    assert len(os.fsencode(deployer.folder.socket)) > 150
    assert deployer.prepare().url


def test_the_error_names_a_state_that_cannot_be_read(endpoint_named: Make) -> None:
    deployer = endpoint_named()
    deployer.folder.make()
    deployer.folder.state.write_text("{")
    with pytest.raises(DeployError, match="state cannot be read") as caught:
        deployer.prepare()
    assert caught.value.where.endswith("endpoint.json")
    deployer.folder.state.unlink()
