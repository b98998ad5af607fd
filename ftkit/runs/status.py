"""The state of a run, from its folder alone: the plugins of its recipe need not be installed any more."""

from __future__ import annotations

import os

from ftkit.runs.ledger import Ledger


def state(ledger: Ledger) -> str:
    """Running, interrupted, failed, promoted or not promoted."""
    finished = ledger.fact("finished")
    if finished:
        return "promoted" if finished.get("promoted") else "not promoted"
    if _alive(ledger):
        return "running"
    return "failed" if ledger.failure else "interrupted"


def no_model(ledger: Ledger) -> dict[str, str]:
    """What to say of a run without a model: what, where, and how to get one."""
    if ledger.fact("selected") is None:
        what, hint = "this run has no model yet", "Give its `ftkit run` command again: it continues the run."
    else:
        what = "the model of this run is gone"
        hint = "Restore the folder from a copy or the registry, or give its `ftkit run` command with --fresh."
    return {"what": what, "where": str(ledger.folder / "bundle"), "hint": hint}


def metric(ledger: Ledger) -> str:
    """The metric of the run's recipe."""
    search = ledger.recipe_values.get("search", {})
    return str(search.get("metric", "macro_f1")) if isinstance(search, dict) else "macro_f1"


def backbones(ledger: Ledger) -> list[str]:
    """Names of the backbones that the run's recipe trains: one, or those that it searches."""
    section = ledger.recipe_values.get("backbone", {})
    return [str(section["use"])] if "use" in section else list(section)


def _alive(ledger: Ledger) -> bool:
    """Whether a process is carrying out the run."""
    import filelock

    try:
        os.kill(int((ledger.folder / ".pid").read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    # A process of this number exists, but may be another program by now. Only then is the lock tried: otherwise this
    # could collide with a run that is just beginning.
    try:
        with filelock.FileLock(ledger.folder / ".lock", timeout=0):
            return False
    except (filelock.Timeout, OSError):
        return True
