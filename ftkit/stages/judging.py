"""Judges a new deployment all through its rollout: by alarms from outside, and by its live requests beside those of the old ones.

Requests are compared within one step, over the same time, since both deployments then meet the same callers. Under all traffic there is no old
one to compare with, unless it gets copies: its errors are then compared with those of the old one just before.

Some endpoints know of a request minutes later. A step counts what came since its traffic was moved, and waits at its end until its last requests
are known, unless the step itself is shorter than that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ftkit.contracts import Deployer, Emit, Measuring, capable
from ftkit.contracts.events import DeploymentJudged, Noticed, TrafficMeasured
from ftkit.contracts.measures import Measures
from ftkit.contracts.settings import duration
from ftkit.errors import DeployError, FtkitError
from ftkit.evaluation.live_comparison import Judgement, Limits, Looks, together
from ftkit.formatting import listing
from ftkit.plugins.calls import call
from ftkit.stages.alarms import Alarms

if TYPE_CHECKING:
    from ftkit.contracts.settings import Rollout

LONGEST_MEMORY = 3600.0
"""Seconds before a step that are looked at for what the old deployment did."""
BEFORE = 60.0
"""Seconds before the switch that the old deployment is looked at, at least."""


class UnhealthyError(DeployError):
    """A new deployment does worse than the old one, or an alarm says no."""


class HeldError(DeployError):
    """A rollout stops where it is: there was too little to judge the new deployment by, and the recipe says `doubt = "hold"`."""


@dataclass(frozen=True)
class _Period:
    """A step in which requests are compared."""

    begun: float
    old: tuple[str, ...]
    """Deployments that get requests beside the new one."""
    earlier: Measures | None
    """What the old ones did just before; None while they get requests."""


class Judge:
    """Judges one rollout."""

    def __init__(self, deployer: Deployer, deployment: str, settings: Rollout, emit: Emit) -> None:
        self._deployer, self._deployment, self._settings, self._emit = deployer, deployment, settings, emit
        self._measuring = deployer if settings.analysis and capable(deployer, Measuring) else None
        self._told = not settings.analysis or self._measuring is not None
        self._alarms = Alarms(settings.alarm, emit)
        limits = Limits(settings.slower, settings.drift, settings.least_requests)
        self._looks = Looks(limits)
        self._period: _Period | None = None
        self._last: Judgement | None = None
        self._untold = False

    @property
    def delay(self) -> float:
        """Seconds after a step until its last requests are known; 0 for a step that is too short to wait for them."""
        if self._measuring is None or not self._comparable:
            return 0.0
        late = call(Measuring.delay, self._measuring)
        return late if late <= self._settings.bake else 0.0

    @property
    def patience(self) -> float:
        """Seconds by which a step may be prolonged."""
        return duration(self._settings.patience) or 0.0

    def begin(self, shares: Mapping[str, int], memory: float = BEFORE) -> None:
        """A step begins, with these shares of the traffic; `memory` is how many seconds back the old deployment is looked at."""
        self._last = None
        if not self._told and any(name != self._deployment for name in shares):
            self._told = True
            name = self._deployer.name
            self._emit(Noticed(f"{name} measures no requests: the new deployment is judged by its health alone."))
        if self._measuring is None:
            return
        old = tuple(name for name in shares if name != self._deployment)
        earlier = None
        if not old:
            measured = self._measured(max(self._settings.bake, memory) + call(Measuring.delay, self._measuring))
            others = [each for name, each in measured.items() if name != self._deployment]
            earlier = together(others) if others else None
        self._period, self._untold = _Period(time.monotonic(), old, earlier), True
        self._looks.begin_step()

    def moved(self) -> None:
        """The traffic of the step has been moved: its requests are those from now on."""
        if self._period is not None:
            self._period = replace(self._period, begun=time.monotonic())

    def look(self) -> None:
        """Ask what is due. Raises: UnhealthyError."""
        if objection := self._alarms.ask():
            raise self._unhealthy(objection)
        if self._measuring is not None and self._period is not None:
            measured = self._measured(time.monotonic() - self._period.begun)
            if self._looks.due(measured.get(self._deployment, Measures())):
                self._judge(measured)

    def undecided(self) -> bool:
        """Whether the step should be prolonged, as far as patience goes."""
        return bool(self.doubt) or (self._comparable and self._last is None)

    def end(self) -> Literal["go", "hold", "back"]:
        """Judge a step that has come to its end; what to do now. Raises: UnhealthyError."""
        if self._measuring is not None and self._period is not None:
            measured = self._measured(time.monotonic() - self._period.begun)
            if self._comparable and (self._last is None or self._last.state == "inconclusive"):
                self._judge(measured)
            self._tell(measured)
        return self._settings.doubt if self.doubt else "go"

    def broken_off(self) -> None:
        """The step ends before its time: tell what was measured in it until now."""
        if self._period is not None and self._untold:
            self._tell(self._measured(time.monotonic() - self._period.begun))

    @property
    def doubt(self) -> str:
        """Why the step could not be judged; empty if it could."""
        doubts = [f"{listing(self._alarms.silent, 3)} gave no answer"] if self._alarms.silent else []
        if self._comparable and self._last is not None and self._last.state == "inconclusive":
            doubts.append(self._last.sentence)
        return "; ".join(doubts)

    @property
    def _comparable(self) -> bool:
        return self._period is not None and bool(self._period.old or self._period.earlier)

    def _tell(self, measured: Mapping[str, Measures]) -> None:
        self._untold = False
        self._emit(TrafficMeasured(self._deployer.endpoint, measured))

    def _judge(self, measured: Mapping[str, Measures]) -> None:
        assert self._period is not None
        new = measured.get(self._deployment, Measures())
        if self._period.old:
            judgement = self._looks.judge(new, [measured.get(name, Measures()) for name in self._period.old])
        elif self._period.earlier is not None:  # all that can be compared with another time is whether requests fail
            judgement = self._looks.judge(_errors_alone(new), [_errors_alone(self._period.earlier)])
            if judgement.state == "inconclusive" and judgement.numbers:
                judgement = Judgement("healthy", "no more errors than the old one had before", judgement.numbers)
        else:
            return
        self._last = judgement
        self._emit(
            DeploymentJudged(
                self._deployer.endpoint, self._deployment, judgement.state, judgement.sentence, judgement.numbers
            )
        )
        if judgement.state == "unhealthy":
            raise self._unhealthy(judgement.sentence)

    def _measured(self, seconds: float) -> Mapping[str, Measures]:
        """What the deployments did; nothing, and a warning, where that cannot be had: it must not end a rollout."""
        assert self._measuring is not None
        try:
            return call(Measuring.measures, self._measuring, min(seconds, LONGEST_MEMORY))
        except FtkitError as error:
            self._emit(Noticed(f"The requests of {self._deployer.endpoint} cannot be measured: {error.what}.", True))
            return {}

    def _unhealthy(self, sentence: str) -> UnhealthyError:
        return UnhealthyError(
            f"the new deployment is not healthy: {sentence}",
            f"{self._deployer.endpoint}/{self._deployment}",
            "Look at its log with `ftkit endpoint logs`, and at the report of the run, which shows both deployments.",
        )


def _errors_alone(measures: Measures) -> Measures:
    return replace(measures, windows=(), classes={}, confidence=(), unsure=0)
