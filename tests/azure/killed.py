"""Rollouts in processes of their own, which tests can kill."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path


def roll_out(endpoint: str, bundle: str, deployment: str) -> None:
    """Roll a bundle out to a managed endpoint, as a run does."""
    from ftkit_azureml import ManagedEndpoint

    from ftkit.bundle import bundle as bundles
    from ftkit.contracts.settings import Rollout
    from ftkit.stages.rollout import roll_out as carry_out

    opened = bundles.verify(Path(bundle))
    carry_out(ManagedEndpoint(endpoint=endpoint), opened, deployment, Rollout(bake=0.0, poll=0.05), lambda _: None)


def listen() -> None:
    """Carry out the rollouts on standard input, one a line, each in a forked process that shares the imported modules.

    Writes the process id of each when it starts, and its exit code when it ends, negative for a signal.
    """
    for module in ("azure.ai.ml.entities", "azure.identity", "ftkit_azureml"):
        importlib.import_module(module)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                roll_out(*line.strip().split("\t"))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    listen()
