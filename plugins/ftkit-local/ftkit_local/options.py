"""The recipe options of the local platform and of the local deployer."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from ftkit_local.endpoint.folder import check_name


@dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """How the trials of a search are run on this machine."""

    threads: int | None = None
    """Cores for each trial; by default the machine's cores are shared evenly among the trials that run at a time."""
    devices: tuple[str, ...] | None = None
    """GPUs to share out among the trials, as CUDA_VISIBLE_DEVICES names them: by default all, with an empty list none."""
    retries: int = 1
    """How many more attempts a trial gets, with the same values, when its process fails or is killed."""
    memory_limit_mb: int | None = None
    """End a trial whose processes together hold more memory than this; by default there is no limit."""
    timeout_minutes: float | None = None
    """End a trial that takes longer than this; by default there is no limit."""
    sample_seconds: float = 1.0
    """Time between two samples of what a trial's processes use."""
    keep_models: bool = False
    """Keep the model of every finished trial, not only of the best one."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError("threads must be at least 1")
        if self.retries < 0:
            raise ValueError("retries must not be negative")
        if self.memory_limit_mb is not None and self.memory_limit_mb < 1:
            raise ValueError("memory_limit_mb must be at least 1")
        if self.timeout_minutes is not None and self.timeout_minutes <= 0:
            raise ValueError("timeout_minutes must be above 0")
        if self.sample_seconds < 0.1:
            raise ValueError("sample_seconds must be at least 0.1")


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

    def __post_init__(self) -> None:
        check_name(self.endpoint, "endpoint")
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
