"""The moments of kills: drawn at random from the course of an undisturbed run, and waited for while another one runs."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.fault_clients import Ended, Family, Line
from benchmarks.fault_scenes import Scene

SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Kill:
    """One signal to one process, at a moment that is given by the output of the client."""

    role: str
    number: signal.Signals
    line: str
    """The line after which it is, without its numbers."""
    seconds: float
    """After it, unless the next line comes before."""
    which: float
    """From 0 to 1: which of several processes of this role, oldest first."""

    @property
    def kind(self) -> str:
        return f"{self.role} {self.number.name}"


class Moment:
    """Waits for the moment of a kill while a client runs."""

    def __init__(self, kill: Kill) -> None:
        self.kill = kill
        self._since = 0.0

    def __call__(self, lines: Sequence[Line], client: int, family: Family) -> str:
        """Kill when it is time; returns what was done, or nothing yet."""
        kill = self.kill
        reached = next((number for number, line in enumerate(lines) if shape(line.text) == kill.line), None)
        if reached is None:
            return ""
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since < kill.seconds and len(lines) == reached + 1:
            return ""
        there = {client: "client"} if kill.role == "client" else family.processes()
        processes = [process for process, role in there.items() if role == kill.role]
        if not processes:
            return ""
        try:
            os.kill(processes[min(int(kill.which * len(processes)), len(processes) - 1)], kill.number)
        except ProcessLookupError:
            return ""
        return f"{kill.kind} {kill.seconds:.2f} s after {lines[reached].text[:80]!r}"


def shape(text: str) -> str:
    """A line without its numbers: the same for the same step of another run."""
    return re.sub(r"\d[\d.,]*", "0", text)


def drawn(scene: Scene, seed: str, course: Ended) -> list[Kill]:
    """One to three kills, at moments of the undisturbed run at which there was what is killed."""
    generator = random.Random(seed)
    lines = list(itertools.takewhile(lambda line: not line.text.startswith("report: "), course.lines))
    kills = []
    for _ in range(generator.choice((1, 2, 2, 3))):
        role = generator.choice(scene.roles)
        there = [n for n, line in enumerate(lines) if role == "client" or role in line.roles]
        number = generator.choice(there)
        after = lines[number + 1].seconds if number + 1 < len(lines) else course.seconds
        seconds = generator.random() * min(after - lines[number].seconds + 0.1, 5.0)
        line = shape(lines[number].text)
        kills.append(Kill(role, generator.choice(SIGNALS), line, seconds, generator.random()))
    return kills
