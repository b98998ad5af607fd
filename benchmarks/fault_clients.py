"""Runs of `ftkit` as processes that can be killed at a given line of their output, and every process that belongs to them.

Started as `python -m benchmarks.fault_clients`, it reads commands, one line of JSON each, and carries out each in a process that is forked
from itself: what `ftkit` imports is imported once, so that the moments of a kill fall into its work.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.turns import ROOT

ROLES = {"worker": "ftkit.searching.worker", "front": "ftkit_local.endpoint.front", "server": "ftkit.serving.server"}
"""Processes that a run starts, by the module that each is started as."""
LOOK = 0.03
"""Seconds between two looks at output and processes."""


@dataclass(frozen=True)
class Line:
    """A line of a run's output, when it came, and the roles of the processes that were there."""

    text: str
    seconds: float
    roles: frozenset[str]


@dataclass
class Ended:
    """One command that was given."""

    code: int | None
    """Its exit code, negative for a signal; None for one that had to be killed because it took too long."""
    seconds: float
    lines: list[Line] = field(default_factory=list)
    killed: str = ""
    """What was killed while it ran, and when; empty if nothing was."""


class Family:
    """Every process with a variable of this value in its environment: what the commands have started, whoever is its parent."""

    def __init__(self, variable: str, value: str, apart: int) -> None:
        """`apart` is a process that is not one of them."""
        self._mark = f"{variable}={value}".encode()
        self._apart = {apart, os.getpid()}
        self._strangers: dict[int, float] = {}
        """Processes of others, by when they were seen first."""

    def processes(self) -> dict[int, str]:
        """The role of each living process by its number, oldest first; `other` for one that is none of `ROLES`."""
        living: dict[int, str] = {}
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self._strangers = {pid: seen for pid, seen in self._strangers.items() if pid in present}  # numbers come again
        for pid in sorted(present - self._apart):
            seen = self._strangers.setdefault(pid, time.monotonic())
            if time.monotonic() - seen > 5:  # a younger one may be about to become one of them
                continue
            if role := self._role(pid):
                del self._strangers[pid]
                living[pid] = role
        return living

    def kill(self) -> None:
        """End all of them, whatever they do."""
        while members := self.processes():
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(LOOK)

    def _role(self, pid: int) -> str:
        try:
            if not _alive(pid) or self._mark not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return ""
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return ""
        return next((role for role, module in ROLES.items() if module in line), "other")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


Due = Callable[[Sequence[Line], int, Family], str]
"""Kills something when its moment has come, and returns what and when; gets the output so far, the client and all processes."""


class Clients:
    """Gives commands to `ftkit`, one at a time, and sees what becomes of their processes."""

    def __init__(self, variables: Mapping[str, str], folder: Path, mark: str) -> None:
        """`mark` names the variable whose value is that of no other process; `folder` is where the commands are given."""
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fault_clients"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **variables},
        )
        self.family = Family(mark, variables[mark], self._process.pid)

    def close(self) -> None:
        """End every process."""
        self.family.kill()
        self._process.kill()
        self._process.communicate()

    def load(self, modules: Sequence[str]) -> None:
        """Have these modules imported, as far as they can be, before the next command."""
        self._ask(modules=list(modules))

    def run(self, arguments: Sequence[str], output: Path, patience: float, due: Due | None = None) -> Ended:
        """Carry out one command, and call `due` often until it has killed something. After `patience` seconds, everything is killed."""
        output.write_bytes(b"")
        begun = time.monotonic()
        pid = int(self._ask(arguments=list(arguments), output=str(output), folder=str(self.folder)))
        ended = Ended(None, 0.0)
        size = 0
        while _alive(pid):
            if time.monotonic() - begun > patience:
                self.family.kill()
                self._answer()
                return Ended(None, time.monotonic() - begun, ended.lines, ended.killed)
            if output.stat().st_size != size or (due and not ended.killed):
                size = output.stat().st_size
                texts = output.read_text(errors="replace").split("\n")[:-1]
                new = texts[len(ended.lines) :]
                roles = frozenset(self.family.processes().values()) if new else frozenset()
                ended.lines += [Line(text, time.monotonic() - begun, roles) for text in new]
                if due and not ended.killed:
                    ended.killed = due(ended.lines, pid, self.family)
            time.sleep(LOOK)
        ended.code, ended.seconds = int(self._answer()), time.monotonic() - begun
        ended.lines += [
            Line(text, ended.seconds, frozenset())
            for text in output.read_text(errors="replace").splitlines()[len(ended.lines) :]
        ]
        return ended

    def _ask(self, **task: object) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that starts the commands has ended")
        return line.strip()


@contextlib.contextmanager
def clients(variables: Mapping[str, str], folder: Path, mark: str) -> Iterator[Clients]:
    """`Clients` for the duration of a block; every process that they started is killed at its end."""
    some = Clients(variables, folder, mark)
    try:
        yield some
    finally:
        some.close()


def listen() -> None:
    """Carry out the commands on standard input until it ends; what each answers is a line on standard output."""
    for line in sys.stdin:
        task = json.loads(line)
        if "modules" in task:
            for module in task["modules"]:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
            print("loaded", flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _carry_out(task)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _carry_out(task: Mapping[str, str]) -> None:
    """Be `ftkit` with these arguments, from its beginning to its exit."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    with open(task["output"], "ab", buffering=0) as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(task["folder"])
    from ftkit import cli

    code = 1
    try:
        code = cli.main(list(task["arguments"]))
        if names := os.environ.get("FTKIT_FAULTS_MODULES"):
            Path(names).write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    listen()
