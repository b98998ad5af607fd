"""The process of one trial: fits the backbone, reports each evaluation, obeys the answer, keeps the best model.

Started as `python -m ftkit_local.worker FD` with one end of a socket. Both sides send JSON, one message a line:

    parent  {"recipe", "run", "number", "attempt", "values", "seed"}
    worker  {"kind": "report", "numbers": {…}}                      after each evaluation
    parent  {"go": true, "best": false}                             the answer to each report
    worker  {"kind": "finished" | "stopped" | "failed", …}          once, at the end

When the parent is gone, so is the reason to go on: the worker ends itself and everything it started.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import queue
import resource
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Data, StopTrial
from ftkit.errors import FtkitError, RecipeError, StageError

if TYPE_CHECKING:
    import numpy as np


class HopelessError(Exception):
    """A failure that a second attempt with the same values would repeat."""


class Wire:
    """The worker's end of the socket."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def receive(self) -> dict[str, Any]:
        return self._heard.get()

    def send(self, **message: Any) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as lines:
            for line in lines:
                self._heard.put(json.loads(line))
        os.killpg(os.getpgrp(), signal.SIGKILL)


class Reporter:
    """What `fit` calls after each evaluation: scores it, tells the parent, and keeps the best probabilities."""

    def __init__(self, wire: Wire, data: Data, folder: Path) -> None:
        self.evaluations = 0
        self.stopped = False
        self._wire = wire
        self._labels = data.valid.labels
        self._shape = (len(data.valid), len(data.classes))
        self._folder = folder
        self._epoch = 0

    def __call__(self, epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
        import numpy as np

        from ftkit import metrics

        probabilities = np.asarray(probabilities)
        if probabilities.shape != self._shape:
            raise HopelessError(
                f"the backbone reported probabilities of shape {probabilities.shape}, not {self._shape}"
            )
        if not np.isfinite(probabilities).all():
            raise HopelessError(f"the training diverged: by epoch {epoch} the probabilities are no numbers any more")
        if epoch <= self._epoch:
            raise HopelessError(f"the backbone reported epoch {epoch} after epoch {self._epoch}")
        self._epoch = epoch
        self.evaluations += 1
        scores = metrics.scores(probabilities, np.asarray(self._labels))
        extra = {name: float(value) for name, value in numbers.items()}
        self._wire.send(kind="report", numbers={"epoch": epoch, **extra, **scores})
        answer = self._wire.receive()
        if answer["best"]:
            partial = self._folder / ".valid.partial.npy"
            np.save(partial, probabilities, allow_pickle=False)
            os.replace(partial, self._folder / "valid.npy")
        if not answer["go"]:
            self.stopped = True
            raise StopTrial
        return bool(answer["best"])


def fit(job: Mapping[str, Any], wire: Wire) -> None:
    """Train the trial's model and save it whole. Raises: StopTrial; whatever the backbone raises."""
    from ftkit import files, options, recipe
    from ftkit.ledger import Ledger

    plan = recipe.loads(job["recipe"])
    ledger = Ledger(Path(job["run"]))
    folder = ledger.trial_folder(job["number"])
    clear(folder)
    try:
        values = options.convert(type(plan.backbone), job["values"], partial=True)
        backbone = replace(plan.backbone, **values)  # type: ignore[type-var]
    except (options.Mistakes, ValueError) as error:
        raise HopelessError(f"the values do not fit the backbone: {error}") from error
    data = ledger.data(("train", "valid"))
    report = Reporter(wire, data, folder)
    classifier = backbone.fit(data, job["seed"], report)
    if report.stopped:
        raise StopTrial
    if not report.evaluations:
        raise HopelessError("the backbone ended its training without reporting an evaluation")
    with files.whole_folder(folder / "model") as partial:
        classifier.save(partial)


def clear(folder: Path) -> None:
    """Remove what an earlier attempt left, its log excepted."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "trial.log":
            path.unlink(missing_ok=True)


def volunteer() -> None:
    """Be the first to go when the machine runs out of memory: a trial can be tried again, its parent cannot.

    Source: Linux manual, proc_pid_oom_score_adj(5).
    """
    with contextlib.suppress(OSError):  # there is no such file elsewhere
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def disk_full(error: BaseException) -> bool:
    """Whether an error, or one it came from, is about a full disk; some writers put the system's words into their own."""
    return any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT))
        or os.strerror(errno.ENOSPC) in str(each)
        for each in _chain(error)
    )


def main() -> None:
    """Carry out one trial and say how it ended. The process that started this one reads the rest from the exit."""
    begun = time.monotonic()
    volunteer()
    wire = Wire(int(sys.argv[1]))
    job = wire.receive()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("ftkit").info(
        "trial %s, attempt %s, seed %s, values %s", job["number"], job["attempt"], job["seed"], job["values"]
    )
    ended: dict[str, Any] = {"kind": "finished"}
    try:
        fit(job, wire)
    except StopTrial:
        ended["kind"] = "stopped"
    except BaseException as error:  # whatever a backbone raises is this trial's end, and is told to the parent
        traceback.print_exc()
        ended = {"kind": "failed", "error": _line(error), "hopeless": isinstance(error, HopelessError)}
        if disk_full(error):
            ended["full"] = True
        elif type(error) is StageError:  # of these values and this seed, such as a loss that is no number any more
            ended |= {"error": " ".join(f"{error.what}. {error.mend}".split()), "hopeless": True}
        elif isinstance(error, FtkitError):
            kind = "StageError" if isinstance(error, RecipeError) else type(error).__name__
            what = str(error) if isinstance(error, RecipeError) else error.what
            ended["raised"] = [kind, what, error.where, error.mend]
    wire.send(**ended, usage=_usage(time.monotonic() - begun))


def _line(error: BaseException) -> str:
    if isinstance(error, HopelessError):
        return str(error)
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


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
