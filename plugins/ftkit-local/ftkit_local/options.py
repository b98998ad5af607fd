"""The recipe options of the local deployer."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from ftkit.serving.endpoint_files import check_name


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """Where an endpoint on this machine listens, who may call it, and what each of its servers may use."""

    endpoint: str
    """Name of the endpoint: all runs that deploy to it share its address, key and traffic."""
    host: str = "127.0.0.1"
    """Address to listen on; other machines reach the endpoint only when this is not the loopback address."""
    port: int = 0
    """Port to listen on; 0 takes a free one the first time and keeps it."""
    auth: Literal["key", "none"] = "key"
    """Whether callers must send the endpoint's key; `none` is for the loopback address only."""
    threads: int = 0
    """Threads of a deployment's matrix products; 0 takes as many as there are cores."""
    request_timeout: float = 60.0
    """Seconds within which a request must be answered, and a deployment that is removed drained."""
    probe_timeout: float = 10.0
    """Seconds without any answer after which a deployment is passed over as long as another one can answer."""
    mirror: int = 0
    """Percent of the live requests, up to 50, that are sent again to a new deployment and to the old one, to compare their answers
    before the new one gets any traffic; no caller waits for it."""
    sticky: str = ""
    """Keep the requests of one caller with one deployment, by a header that callers send: `header:X-User`."""

    def __post_init__(self) -> None:
        check_name(self.endpoint, "endpoint")
        if not 0 <= self.mirror <= 50:
            raise ValueError("mirror must be a percentage from 0 to 50")
        if self.probe_timeout <= 0:
            raise ValueError("probe_timeout must be positive")
        if self.sticky and not re.fullmatch(r"header:[A-Za-z0-9-]+", self.sticky):
            raise ValueError(f"sticky must name a header, as in header:X-User, not {self.sticky[:60]!r}")
        if not 0 <= self.port <= 65535:
            raise ValueError("port must be from 0 to 65535")
        if self.auth == "none" and not _is_loopback(self.host):
            raise ValueError(
                f'auth = "none" would let anybody who reaches {self.host} use the model; use "key", or host = "127.0.0.1"'
            )
        if self.threads < 0:
            raise ValueError("threads must not be negative")
        if self.request_timeout <= 0:
            raise ValueError("request_timeout must be positive")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
