"""A cluster with KServe and a Gateway on this machine: an API server, a controller that starts real servers, a gateway, a kubeconfig."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kserve.api_server import TOKEN, ApiServer
from tests.kserve.controller import Controller
from tests.kserve.gateway import Gateway

HOST = "reviews.example.org"


@dataclass(frozen=True)
class Loopback:
    """The parts of the cluster, and what a deployer needs to use it."""

    api: ApiServer
    controller: Controller
    gateway: Gateway
    claim: Path
    """The folder of the claim `models`, mounted on this machine."""
    kubeconfig: Path

    @property
    def options(self) -> dict[str, Any]:
        """The options of a deployer on this cluster, except the name of its endpoint."""
        return {
            "gateway": "gateways/public",
            "hostname": HOST,
            "url": self.gateway.url,
            "image": "registry.example.org/ftkit:1",
            "storage": "pvc://models/ftkit",
            "mount": str(self.claim / "ftkit"),
            "namespace": "models",
        }


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Loopback]:
    """A cluster whose files are in this folder; KUBECONFIG names it."""
    claim = folder / "claim"
    (claim / "ftkit").mkdir(parents=True)
    api = ApiServer()
    gateway = Gateway(api)
    controller = Controller(api, {"models": claim}, folder, gateway.in_flight)
    api.log_of = controller.log_of
    api.put("gateways", {"kind": "Gateway", "metadata": {"namespace": "gateways", "name": "public"}, "spec": {}})

    def port_of(service: str) -> int | None:
        process = controller.processes.get(service)
        return process.port if process and process.ready else None

    gateway.port_of = port_of
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig(api.url)), encoding="utf-8")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(kubeconfig))
            patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
            yield Loopback(api, controller, gateway, claim, kubeconfig)
    finally:
        controller.close()
        gateway.close()
        api.close()


def _kubeconfig(server: str) -> dict[str, Any]:
    def context(name: str, token: str, address: str = server) -> dict[str, Any]:
        return {
            "clusters": {"name": name, "cluster": {"server": address}},
            "users": {"name": name, "user": {"token": token}},
            "contexts": {"name": name, "context": {"cluster": name, "user": name}},
        }

    contexts = [context("good", TOKEN), context("expired", "old"), context("gone", TOKEN, "http://127.0.0.1:9")]
    parts = {key: [each[key] for each in contexts] for key in ("clusters", "users", "contexts")}
    return {"apiVersion": "v1", "kind": "Config", "current-context": "good", **parts}
