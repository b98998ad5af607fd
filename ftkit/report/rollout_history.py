"""A rollout as the journal of its run recorded it: its steps, what both deployments did in each, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ftkit.contracts.measures import Measures, Window
from ftkit.disclosure import without_secrets
from ftkit.runs.ledger import Ledger
from ftkit.serving import live_counts

BEGINNINGS = ("created", "goes on", "was live already")
"""Steps with which a rollout begins."""


@dataclass(frozen=True)
class Happening:
    """One fact of a rollout: an event with its time."""

    at: float
    """Seconds since 1970; so are all times here."""
    event: str
    values: Mapping[str, Any]


@dataclass
class Step:
    """A time in which the shares of the traffic stayed as they were."""

    share: int
    """Percent of the traffic that the new deployment gets; 0 while it gets copies."""
    began: float
    ended: float
    measured_at: float = 0.0
    measures: Mapping[str, Measures] = field(default_factory=dict)
    """What each deployment did, by its name."""
    judged: list[Happening] = field(default_factory=list)
    copies: Mapping[str, Any] = field(default_factory=dict)
    """How its answers to copies compared."""


@dataclass(frozen=True)
class Rollout:
    """One attempt to put a deployment live."""

    endpoint: str
    deployment: str
    happenings: Sequence[Happening]
    steps: Sequence[Step]
    rolled_back: float | None
    """When its traffic was taken from it again, or it was removed."""
    live: bool
    """Whether it took over all traffic for good."""
    error: str
    """Why the run broke off."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """What stayed after it, and until when."""
    closed: Mapping[str, Any] = field(default_factory=dict)
    """How that ended."""

    @property
    def began(self) -> float:
        """When it began."""
        return self.happenings[0].at

    @property
    def ended(self) -> float:
        """When the last happened of what is known."""
        return self.happenings[-1].at

    @property
    def old(self) -> list[str]:
        """The deployments that were measured beside the new one."""
        names = (name for step in self.steps for name in step.measures if name != self.deployment)
        return list(dict.fromkeys(names))


def read(ledger: Ledger) -> list[Rollout]:
    """Every rollout of a run, the oldest first."""
    facts = without_secrets(
        [each for each in ledger.entries if each["fact"] in ("rollout", "deployed", "failed", "kept", "kept-closed")]
    )
    parts: list[list[Mapping[str, Any]]] = []
    for fact in facts:
        begins = fact["fact"] == "rollout" and fact.get("step") in BEGINNINGS
        if begins:
            parts.append([])
        if parts:
            parts[-1].append(fact)
    return [_rollout(part) for part in parts]


def _rollout(facts: Sequence[Mapping[str, Any]]) -> Rollout:
    happenings = [Happening(_time(each), each["event"], each) for each in facts if each["fact"] == "rollout"]
    first = happenings[0].values
    deployment = first["deployment"]
    steps, back = _steps(happenings, deployment)
    others = {
        kind: [each for each in facts if each["fact"] == kind] for kind in ("deployed", "failed", "kept", "kept-closed")
    }
    return Rollout(
        first["endpoint"],
        deployment,
        happenings,
        steps,
        back,
        bool(others["deployed"]),
        next((str(each["error"]) for each in others["failed"]), ""),
        next(iter(others["kept"]), {}),
        next(iter(others["kept-closed"]), {}),
    )


def _steps(happenings: Sequence[Happening], deployment: str) -> tuple[list[Step], float | None]:
    """The steps, and when the new deployment was taken back."""
    steps: list[Step] = []
    open_step: Step | None = None
    back = None
    for each in happenings:
        values, share = each.values, _new_share(each, deployment)
        if open_step is not None:
            open_step.ended = each.at
        if share is not None:
            open_step = Step(share, each.at, each.at)
            steps.append(open_step)
        elif each.event == "TrafficMoved" or (values.get("step") == "removed" and values["deployment"] == deployment):
            back, open_step = back or each.at, None
        elif open_step is not None and each.event == "DeploymentJudged":
            open_step.judged.append(each)
        elif steps and each.event == "CopiesCompared":
            steps[-1].copies = values["comparison"]
        elif open_step is not None and each.event == "TrafficMeasured":
            open_step.measures = {name: live_counts.from_json(table) for name, table in values["measures"].items()}
            open_step.measured_at, open_step = each.at, None
    return steps, back


def _new_share(happening: Happening, deployment: str) -> int | None:
    """The new deployment's percent of the traffic in a step that begins with this; None if none does."""
    if happening.event == "TrafficMoved":
        share = happening.values["shares"].get(deployment)
        return int(share) if share is not None else None
    return 0 if happening.values.get("step") == "gets copies" else None


def curves(rollout: Rollout, deployment: str) -> Iterator[tuple[float, float, Window]]:
    """The windows of one deployment over the whole rollout, each with its middle and its width.

    A window that two steps share is taken from the one that saw more of it; a window that was not over when it was measured is left out.
    """
    known: dict[tuple[float, float], Window] = {}
    for step in rollout.steps:
        measures = step.measures.get(deployment, Measures())
        for window in measures.windows:
            place = (window.begins, measures.width)
            before = known.get(place, Window(window.begins, 0, 0.0))
            over = window.begins + measures.width <= step.measured_at
            if over and window.requests + window.failed >= before.requests + before.failed:
                known[place] = window
    for (begins, width), window in sorted(known.items(), key=lambda item: item[0]):
        yield begins + width / 2, width, window


def _time(fact: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(fact["at"]).timestamp()
