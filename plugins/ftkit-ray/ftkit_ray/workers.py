"""Where the attempts of a search run: on the nodes of a Ray cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import events, formatting
from ftkit.bundle import requirements
from ftkit.contracts import Emit
from ftkit.searching.attempts import Attempt, Inbox, Job
from ftkit.searching.search import patience
from ftkit_ray.attempt import RayAttempt
from ftkit_ray.keepers import Keepers

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger
    from ftkit_ray.cluster import Cluster
    from ftkit_ray.options import RayOptions


class RayWorkers:
    """Attempts as processes on the nodes of a cluster; Ray chooses the node of each."""

    def __init__(self, platform: RayOptions, plan: Plan, ledger: Ledger, emit: Emit, cluster: Cluster) -> None:
        """Make sure that every node has what the plan needs, and can get its data. Raises: StageError."""
        self.node_retries = platform.node_retries
        self._platform, self._cluster, self._emit = platform, cluster, emit
        components = [
            plan.dataset,
            *plan.every_backbone,
            *plan.promote,
            plan.registry,
            plan.deploy,
            plan.platform,
        ]
        plugins = requirements.owners(component for component in components if component is not None)
        self._keepers = Keepers(ledger.folder, plugins, platform, cluster)
        for warning in self._keepers.prepare():
            emit(events.Noticed(warning, warning=True))
        if cluster.gpus and not platform.gpus:
            has = f"The cluster has {formatting.count(round(cluster.gpus), 'GPU')}"
            emit(events.Noticed(f"{has}, and the trials use none: run.gpus is 0.", warning=True))
        self._patience = patience(plan)
        self._checkpoints = ""
        """Folder of all checkpoints of the run; empty where there are none."""
        if plan.search.checkpoint and cluster.own:
            self._checkpoints = str(ledger.folder / "checkpoints")
        elif plan.search.checkpoint:
            self._checkpoints = f"{platform.storage}/ftkit-checkpoints/{ledger.run}"
            self._keepers.check_shared(self._checkpoints)

    def start(self, job: Job, log: Path, slot: int, inbox: Inbox) -> RayAttempt:
        """Ask for a place on the cluster for an attempt, which begins when there is one. Raises: OSError."""
        checkpoints = f"{self._checkpoints}/{job['number']:03d}" if self._checkpoints else ""
        return RayAttempt(job, log, inbox, self._emit, self._platform, self._cluster, self._keepers, checkpoints)

    def forget(self) -> None:
        """Remove the checkpoints of a search that has come to its end."""
        if self._checkpoints:
            self._keepers.remove(self._checkpoints)

    def end(self, attempts: Sequence[Attempt]) -> None:
        """End all attempts, those at once that wait for a place."""
        import ray

        ours = [attempt for attempt in attempts if isinstance(attempt, RayAttempt)]
        ending = [attempt.end(self._patience) for attempt in ours if attempt.started < math.inf]
        try:
            if ending:
                ray.wait(ending, num_returns=len(ending), timeout=self._patience + 5)
        finally:
            for attempt in ours:
                attempt.abandon()
