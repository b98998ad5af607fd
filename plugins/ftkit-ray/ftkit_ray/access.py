"""Whether a cluster can be reached and whom it lets in: asked before Ray is loaded, whose own client waits and does not say why."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import StageError

if TYPE_CHECKING:
    import grpc

SECONDS = 10.0
"""How long the head of a cluster may take to answer."""

_CHECK = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""What the command `ray health-check` calls; its request may be empty."""


def current() -> str:
    """Address of the cluster that this machine belongs to, as Ray finds it. Raises: StageError when there is none."""
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    path = Path(folder) / "ray" / "ray_current_cluster"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise StageError(
            "this machine belongs to no Ray cluster",
            where=str(path),
            hint="Make it a node of one: `ray start --address=HOST:PORT --num-cpus=0`. Or set run.address to HOST:PORT.",
        ) from None


def admitted(address: str) -> tuple[str, str]:
    """The address for Ray's client, and the mode of authentication that the cluster has: `token` or `disabled`.

    Raises: StageError when the cluster is out of reach, lets in anybody from other machines, or refuses this machine's token.
    """
    host = address.rpartition(":")[0]
    if os.environ.get("RAY_USE_TLS") == "1":  # only holders of a certificate can connect
        return address, os.environ.get("RAY_AUTH_MODE", "disabled")
    address = _as_ray_connects(address)
    status, details = _ask(address)
    if status == "OK":
        if not _is_loopback(host):
            raise StageError(
                "the Ray cluster has no authentication: anybody who reaches it can run programs on it",
                where=address,
                hint="Make a token with `ray get-auth-token --generate`, and start every node of the cluster with it in"
                " RAY_AUTH_TOKEN and with RAY_AUTH_MODE=token. Set both here as well.",
            )
        return address, "disabled"
    if status != "UNAUTHENTICATED":
        raise _out_of_reach(address, status, details)
    token, place = _token()
    if not token:
        raise StageError(
            "the Ray cluster asks for a token, and there is none here",
            where=address,
            hint="Set RAY_AUTH_TOKEN to the cluster's token, or put it into ~/.ray/auth_token:"
            " `ray get-auth-token` prints it on a node of the cluster.",
        )
    status, details = _ask(address, token)
    if status == "UNAUTHENTICATED":
        raise StageError(
            f"the Ray cluster refuses the token of {place}",
            where=address,
            hint="Use the token that the cluster was started with: `ray get-auth-token` prints it on a node of the cluster.",
        )
    if status != "OK":
        raise _out_of_reach(address, status, details)
    return address, "token"


def _as_ray_connects(address: str) -> str:
    """An address by which Ray's client comes through.

    It replaces 127.0.0.1 by another address of the machine, and waits for minutes where the cluster does not listen there.
    """
    host, _, port = address.rpartition(":")
    if host not in ("localhost", "127.0.0.1", "::1", "[::1]"):
        return address
    status, details = _ask(f"127.0.0.1:{port}")
    if status not in ("OK", "UNAUTHENTICATED"):
        raise _out_of_reach(address, status, details)
    for candidate in (f"{_own_address()}:{port}", f"127.0.0.2:{port}"):
        if not candidate.startswith("127.0.0.1:") and _ask(candidate)[0] in ("OK", "UNAUTHENTICATED"):
            return candidate
    raise StageError(
        "the Ray cluster listens on 127.0.0.1 alone, and Ray's client cannot use this address",
        where=address,
        hint="Start it with `ray start --head --node-ip-address=127.0.0.2`, and set run.address to 127.0.0.2:PORT.",
    )


def _own_address() -> str:
    """The address by which this machine reaches others; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        try:
            end.connect(("192.0.2.1", 9))
            return end.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _ask(address: str, token: str = "") -> tuple[str, str]:
    """The status of a cluster's answer, as gRPC names it, and what it says."""
    import grpc

    metadata = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_CHECK)(b"", timeout=SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            call: grpc.Call = error
            return call.code().name, call.details() or ""
    return "OK", ""


def _token() -> tuple[str, str]:
    """The token that Ray's client sends, and where it is kept; empty where there is none.

    Source: Ray's documentation, "Ray token authentication".
    """
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token, "RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text(encoding="utf-8").strip(), str(path)
    except OSError:
        return "", str(path)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _out_of_reach(address: str, status: str, details: str) -> StageError:
    if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        reason = "it did not answer in time" if status == "DEADLINE_EXCEEDED" else details.rpartition(": ")[2]
        return StageError(
            f"the Ray cluster cannot be reached: {reason[:200] or status}",
            where=address,
            hint="Start it with `ray start --head`, or set run.address to the HOST:PORT of its head.",
        )
    return StageError(
        f"what answers here is no Ray cluster: {status}: {details[:200]}",
        where=address,
        hint="Set run.address to the HOST:PORT of the cluster's head, as `ray start --head` shows it.",
    )
