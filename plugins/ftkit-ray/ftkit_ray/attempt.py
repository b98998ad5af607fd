"""An attempt of a trial as the search sees it, whose process runs on a node of a cluster."""

from __future__ import annotations

import itertools
import math
import operator
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import events, files
from ftkit.contracts import Emit
from ftkit.errors import FtkitError, StageError, in_one_line
from ftkit.searching.attempts import Inbox, Job, PlaceLost, Sample
from ftkit.searching.worker import disk_full
from ftkit_ray.relay import Relay

if TYPE_CHECKING:
    from ftkit_ray.cluster import Cluster
    from ftkit_ray.keepers import Keepers
    from ftkit_ray.options import RayOptions


NOTICE_SECONDS = 30.0
"""How long a trial may wait for its place before the user is told."""


class RayAttempt:
    """An attempt on a cluster: it waits for a place there, then a thread takes its messages."""

    def __init__(
        self,
        job: Job,
        log: Path,
        inbox: Inbox,
        emit: Emit,
        platform: RayOptions,
        cluster: Cluster,
        keepers: Keepers,
        checkpoints: str,
    ) -> None:
        """Ask for its place. `checkpoints` is the folder of the trial's checkpoints, as its node sees it, or empty."""
        import ray

        self.node = ""
        self.pid = 0
        self.started = math.inf
        self.killed = ""
        self._notice_at = time.monotonic() + NOTICE_SECONDS
        """When to tell the user that it still waits for its place."""
        self._job, self._log, self._emit = job, log, emit
        self._platform, self._cluster, self._keepers = platform, cluster, keepers
        self._checkpoints = checkpoints
        self._node = ""
        """Identifier of its node."""
        self._sample: Sample | None = None
        self._resources: dict[str, float] = {}
        self._actor: Any = (
            ray.remote(Relay)
            .options(
                name=f"trial {job['number']}, attempt {job['attempt']}",
                num_cpus=cluster.cpus,
                num_gpus=platform.gpus,
                resources=dict(platform.resources) or None,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=4,  # it is sent messages and killed while it runs
            )
            .remote()
        )
        log.parent.mkdir(parents=True, exist_ok=True)
        self._reader = threading.Thread(target=self._follow, args=(inbox,), daemon=True)
        self._reader.start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the worker a message; that it is gone, the inbox reports."""
        self._actor.send.remote(dict(message))

    def kill(self, reason: str) -> None:
        """End it at once; where it has no place yet, it gets none."""
        import ray

        if self.killed:
            return
        self.killed = reason
        if self.started == math.inf:
            ray.kill(self._actor)
        else:
            self._actor.kill.remote(reason)

    def sample(self) -> Sample | None:
        """What it used when its node last looked."""
        if self.started == math.inf and time.monotonic() > self._notice_at:
            self._notice_at = math.inf
            self._emit(events.Noticed(f"Trial {self._job['number']} waits for a place on the cluster."))
        return self._sample

    def resources(self, usage: Mapping[str, float]) -> dict[str, float]:
        """What it used in all, as its node counted it."""
        return self._resources

    def collect(self, *, model: bool) -> None:
        """Bring its probabilities, and its model if asked for, into its folder in the run. Raises: PlaceLost; OSError."""
        import ray

        folder = self._log.parent
        try:
            if not model:
                self._receive(folder, folder, model=False)
                return
            with files.atomic_folder(folder / "model") as partial:
                self._receive(folder, partial, model=True)
        except ray.exceptions.RayError as error:
            raise PlaceLost(self._cluster.why(self._node, error)[0]) from error

    def release(self) -> None:
        """Have its folder on the node removed and the actor ended; this does not wait for it."""
        self._actor.leave.remote()

    def end(self, patience: float) -> Any:
        """Have it ended; returns a reference that is ready when it has."""
        self.killed = self.killed or "the search ended"
        return self._actor.end.remote(patience)

    def abandon(self) -> None:
        """End the actor, and with it all that is left of the attempt."""
        import ray

        self.killed = self.killed or "the search ended"
        ray.kill(self._actor)
        self._reader.join(timeout=5.0)

    def _receive(self, folder: Path, model_folder: Path, *, model: bool) -> None:
        """Write what the node sends, each file whole or not at all."""
        import ray

        # Only a few parts at a time, so that a model of any size fits into the object store.
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": 4}
        stream = self._actor.files.options(**options).remote(model=model)
        parts = (ray.get(reference) for reference in stream)
        for name, group in itertools.groupby(parts, operator.itemgetter(0)):
            kind, _, inside = name.partition("/")
            path = model_folder / inside if kind == "model" and inside else folder / name
            files.write_parts(path, (part for _, part in group))

    def _follow(self, inbox: Inbox) -> None:
        """Pass on all messages of the attempt, its end as the last."""
        import ray

        ended: dict[str, Any] = {"kind": "exited", "error": "its messages broke off"}
        node = self._node
        try:
            self._node = node = ray.get(self._actor.node.remote())
            self.node = self._cluster.shown(node)
            for message in self._messages(node):
                if message["kind"] == "exited":
                    ended = message
                else:
                    inbox.put((self, message))
        except ray.exceptions.RayTaskError as error:  # the node goes on, but something failed there
            if disk_full(error):
                inbox.put((self, self._full()))
            ended["error"] = f"{self._cluster.title(node)} cannot run it: {in_one_line(error.cause)}"
        except ray.exceptions.RayError as error:
            if not self.killed:
                ended["error"], ended["lost"] = self._cluster.why(node, error)
        except FtkitError as error:
            inbox.put((self, _raised(error)))
        except OSError as error:  # the log cannot be written
            inbox.put((self, {"kind": "failed", "error": in_one_line(error), "full": disk_full(error)}))
        except Exception as error:  # the search waits for this end, whatever Ray raises
            ended["error"] = in_one_line(error)
        if self.killed:
            ended = {"kind": "exited", "error": f"killed: {self.killed}"}
        inbox.put((self, ended))

    def _messages(self, node: str) -> Iterator[dict[str, Any]]:
        """What the search is to hear of the attempt."""
        import ray

        data = self._keepers.data(node)
        arguments = self._job, data, self._checkpoints, self._cluster.cpus, self._platform
        for reference in self._actor.run.options(num_returns="streaming").remote(*arguments):
            message = ray.get(reference)
            match message["kind"]:
                case "started":
                    self.pid, self.started = message["pid"], time.monotonic()
                    yield {"kind": "started"}
                case "sample":
                    self._sample = message["sample"] or self._sample
                case "log":
                    with self._log.open("ab") as log:
                        log.write(message["text"])
                case "exited":
                    self._resources = message.pop("resources")
                    yield message
                case _ if message.get("full"):
                    yield self._full()
                case _:
                    yield message

    def _full(self) -> dict[str, Any]:
        """The message of a disk that is full where the trial ran, which need not be this machine."""
        return _raised(
            StageError(
                f"the disk of {self._cluster.title(self._node)} is full; the search was stopped",
                where=self._platform.storage or "its folder for temporary files",
                hint="Make room or set run.storage to a larger disk, then give the same command: every trial that ended is kept.",
            )
        )


def _raised(error: FtkitError) -> dict[str, Any]:
    """An error that ends the search, as a worker would report it."""
    return {
        "kind": "failed",
        "error": error.what,
        "raised": [type(error).__name__, error.what, error.where, error.hint],
    }
