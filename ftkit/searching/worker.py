"""The process of one trial: fits the backbone, reports each evaluation, stops when the answer says so.

Started as `python -m ftkit.searching.worker FD` with one end of a socket, or with `-` in the place of FD to speak over standard input and
output, as through ssh. Both sides send JSON, one message a line:

    parent  {"recipe", "run", "number", "attempt", "values", "seed", "processes"}
    worker  {"kind": "resumed", "history": […]}                     before others, where it goes on from a checkpoint
    worker  {"kind": "noticed", "text": …}                          what the user should know
    worker  {"kind": "report", "numbers": {…}}                      after each evaluation
    parent  {"go": true, "best": false}                             the answer to each report; `"ends": true` asks for the best model so far
    worker  {"kind": "finished" | "stopped" | "failed", …}          once, at the end

When the parent is gone, the worker ends itself and everything it started. At SIGTERM it ends at once, where the recipe asks for
checkpoints after it has written one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftkit.contracts import StopTrial, TrialInterrupted
from ftkit.disclosure import redact_output, without_secrets
from ftkit.errors import FtkitError, HopelessError, RecipeError, StageError, VerbError
from ftkit.searching.followers import Followers, checkpoints_of
from ftkit.stages import trial
from ftkit.stages.checkpoints import TrialCheckpoints

ANSWER_SECONDS = 5.0
"""Seconds that a worker which is to end waits for an answer: the parent may be about to end as well."""


class Wire:
    """The worker's end of the line to the search."""

    def __init__(self, descriptor: str) -> None:
        """`descriptor` is a socket's number, or `-` for standard input and output: then what is printed goes to standard error."""
        if descriptor == "-":
            reading, self._writing = os.dup(0), os.dup(1)
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            os.dup2(2, 1)
        else:
            reading = self._writing = int(descriptor)
            os.set_inheritable(reading, False)
        self._incoming = os.fdopen(reading, "rb")
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def receive(self) -> dict[str, Any]:
        """The next message. Raises: TrialInterrupted if this process is to end, and the parent no longer answers."""
        message = self._messages.get()
        while message is None:
            try:
                message = self._messages.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                raise TrialInterrupted("the process was asked to end") from None
        return message

    def interrupt(self) -> None:
        """From now on, wait for a message only so long; safe in a signal handler."""
        self._messages.put(None)

    def send(self, **message: Any) -> None:
        left = json.dumps(message).encode() + b"\n"
        while left:
            left = left[os.write(self._writing, left) :]

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._incoming:
                self._messages.put(json.loads(line))
        os.killpg(os.getpgrp(), signal.SIGKILL)


def fit(job: Mapping[str, Any], wire: Wire) -> None:
    """Train the trial's model and save it whole. Raises: StopTrial; whatever the backbone raises."""
    from ftkit.recipe import loader
    from ftkit.runs.ledger import Ledger

    def evaluated(numbers: dict[str, float]) -> trial.Answer:
        wire.send(kind="report", numbers=numbers)
        answer = wire.receive()
        return trial.Answer(bool(answer["go"]), bool(answer["best"]), bool(answer.get("ends")))

    ledger = Ledger(Path(job["run"]))
    folder = ledger.trial_folder(job["number"])
    plan = loader.loads(job["recipe"])
    checkpoints = checkpoints_of(job, plan, folder, wire.send)
    if checkpoints is not None:
        write_before_the_end(checkpoints, wire)
    trial.fit(plan, ledger.data(("train", "valid")), job["values"], job["seed"], folder, evaluated, checkpoints)


def write_before_the_end(checkpoints: TrialCheckpoints, wire: Wire) -> None:
    """At SIGTERM, let the training write a checkpoint at its next step; before its first one, end at once."""

    def interrupted(*_: object) -> None:
        if not checkpoints.begun:
            end_by_signal()
        checkpoints.interrupted = True
        wire.interrupt()

    signal.signal(signal.SIGTERM, interrupted)


def end_by_signal() -> None:
    """End this process as SIGTERM ends one that does not handle it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def prefer_as_victim() -> None:
    """Let the system kill this process first when memory runs out: a trial can be tried again, its parent cannot.

    Source: Linux manual, proc_pid_oom_score_adj(5).
    """
    with contextlib.suppress(OSError):  # there is no such file elsewhere
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, is about a full disk, by its number or its message."""
    return any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT))
        or os.strerror(errno.ENOSPC) in str(each)
        for each in _chain(error)
    )


def main() -> None:
    """Carry out one trial and report how it ended; what cannot be reported, the parent learns from the exit code."""
    begun = time.monotonic()
    redact_output()
    prefer_as_victim()
    wire = Wire(sys.argv[1])
    job = wire.receive()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("ftkit").info(
        "trial %s, attempt %s, seed %s, values %s", job["number"], job["attempt"], job["seed"], job["values"]
    )
    ended: dict[str, Any] = {"kind": "finished"}
    followers = Followers(job, lambda reason: give_up(wire, reason)) if job.get("processes", 1) > 1 else None
    try:
        fit(job, wire)
    except TrialInterrupted:
        if followers:
            followers.end()
        end_by_signal()
    except StopTrial:
        ended["kind"] = "stopped"
    except BaseException as error:  # whatever a backbone raises ends this trial, and is reported to the parent
        traceback.print_exc()
        ended = {"kind": "failed", "error": trial.line(error), "hopeless": isinstance(error, HopelessError)}
        if disk_full(error):
            ended["full"] = True
        elif type(error) is StageError:  # it comes of these values and this seed, such as a loss that is no number
            ended |= {"error": " ".join(f"{error.what}. {error.hint}".split()), "hopeless": True}
        elif isinstance(error, FtkitError) and not isinstance(error, VerbError):
            kind = "StageError" if isinstance(error, RecipeError) else type(error).__name__
            what = str(error) if isinstance(error, RecipeError) else error.what
            ended["raised"] = [kind, what, error.where, error.hint]
        if followers and isinstance(error, VerbError) and (reason := followers.reason()):
            ended = {"kind": "failed", "error": reason}
    if followers and ended["kind"] != "failed":
        followers.end()
    wire.send(**without_secrets(ended), usage=_usage(time.monotonic() - begun))
    if followers:
        sys.stderr.flush()
        os._exit(0)  # gloo's threads abort some processes when the interpreter ends


def give_up(wire: Wire, reason: str) -> None:
    """End this process with all that train with it: one of them is gone."""
    wire.send(kind="failed", error=reason)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _usage(seconds: float) -> dict[str, float]:
    """What this process and the children it waited for used, as the system counted it."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "memory_peak_mb": own.ru_maxrss * unit / 2**20,
        "seconds": seconds,
    }


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    main()
