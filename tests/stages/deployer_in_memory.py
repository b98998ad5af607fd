"""A deployer for tests of rollouts, whose deployments are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ftkit.bundle import bundle as bundles
from ftkit.contracts import Deployment, Endpoint, Health


@dataclass
class Memory:
    """A deployer whose deployments are kept in memory; tests can interfere `before` and `after` each call of a verb."""

    name: ClassVar[str] = "memory"
    endpoint: str = "memory"
    traffic: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: Callable[[int, str], None] = lambda number, verb: None
    after: Callable[[int, str], None] = lambda number, verb: None
    healths: list[Health] = field(default_factory=list)
    answer: Callable[[Mapping[str, Any]], Any] = lambda request: ["good"] * len(request["data"])

    def _do(self, verb: str, work: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(verb)
        self.before(number, verb)
        result = work()
        self.after(number, verb)
        return result

    def prepare(self) -> Endpoint:
        return self._do("prepare", self._endpoint)

    def create(self, deployment: str, bundle: Path) -> None:
        def work() -> None:
            assert deployment not in self.hashes
            self.hashes[deployment] = bundles.verify(bundle).hash

        self._do("create", work)

    def health(self, deployment: str) -> Health:
        assert deployment in self.hashes
        return self._do("health", lambda: self.healths.pop(0) if self.healths else Health("ready"))

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        assert deployment in self.hashes or (deployment is None and self.traffic)
        return self._do("invoke", lambda: self.answer(request))

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        def work() -> None:
            assert not shares or sum(shares.values()) == 100
            assert set(shares) <= set(self.hashes)
            self.traffic = dict(shares)

        self._do("set_traffic", work)

    def delete(self, deployment: str) -> None:
        def work() -> None:
            assert not self.traffic.get(deployment)
            self.hashes.pop(deployment, None)

        self._do("delete", work)

    def describe(self) -> Endpoint | None:
        return self._endpoint()

    def logs(self, deployment: str, lines: int = 100) -> str:
        return "a line of the server's log"

    def stop(self) -> None:
        self.hashes, self.traffic = {}, {}

    def _endpoint(self) -> Endpoint:
        deployments = (
            Deployment(name, self.traffic.get(name, 0), "ready", digest) for name, digest in self.hashes.items()
        )
        return Endpoint("memory", "memory:", "", tuple(deployments))
