"""The recipe options of an endpoint on Ray Serve."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ftkit import files as ftkit_files
from ftkit.serving import endpoint_files
from ftkit.serving.limits import ServerOptions
from ftkit_ray.serve.files import EndpointFiles


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ServerOptions):
    """Where an endpoint on Ray Serve lives, who may call it, and what its replicas may use."""

    endpoint: str
    """Name of the endpoint; it is the first part of its path, too."""
    address: str | None = None
    """The cluster, as host:port; by default one on this machine that is started when it is needed and outlives the run."""
    storage: str | None = None
    """A folder that every node of the cluster sees, for bundles, shares, key and logs; by default one in FTKIT_HOME, which suffices for
    a cluster on this machine."""
    host: str = "127.0.0.1"
    """Address that Serve's proxies listen on; other machines reach the endpoint only when this is not the loopback address."""
    port: int = 8000
    """Port of Serve's proxies: all endpoints of a cluster share it."""
    auth: Literal["key", "none"] = "key"
    """Whether callers must send the endpoint's key; `none` is for the loopback address only."""
    replicas: int = 1
    """Replicas of a deployment: the fewest, where `max_replicas` is set."""
    max_replicas: int | None = None
    """Let Serve add replicas up to this number while requests wait; by default their number stays."""
    routers: int = 1
    """Replicas of the router."""
    cpus: float = 1.0
    """Cores of a replica; its matrix products use as many threads."""
    gpus: float = 0.0
    """GPUs of a replica."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the replicas."""
    request_timeout: float = 60.0
    """Seconds within which a request must be answered, and a deployment that is removed drained."""

    def __post_init__(self) -> None:
        super().__post_init__()
        endpoint_files.check_name(self.endpoint, "endpoint")
        if self.auth == "none" and not _is_loopback(self.host):
            raise ValueError(
                f'auth = "none" would let anybody who reaches {self.host} use the model; use "key", or host = "127.0.0.1"'
            )
        if not 1 <= self.port <= 65535:
            raise ValueError("port must be from 1 to 65535")
        if self.replicas < 1 or self.routers < 1:
            raise ValueError("replicas and routers must be at least 1")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError("max_replicas must be at least replicas")
        if self.cpus <= 0 or self.gpus < 0:
            raise ValueError("cpus must be above 0, and gpus not below")
        if self.request_timeout <= 0:
            raise ValueError("request_timeout must be positive")

    @property
    def files(self) -> EndpointFiles:
        """The endpoint's files."""
        root = Path(self.storage) if self.storage else ftkit_files.home() / "ray" / "endpoints"
        return EndpointFiles(root.absolute() / self.endpoint)

    @property
    def url(self) -> str:
        """What callers send requests to."""
        host = ipaddress.ip_address(self.host) if _is_address(self.host) else None
        shown = "127.0.0.1" if host is not None and host.is_unspecified else self.host
        return f"http://{shown}:{self.port}/{self.endpoint}/score"


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
