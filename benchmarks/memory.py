"""Peak memory of processes, as the system counts it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

MEGABYTE = 2**20


def own_peak() -> float:
    """The peak memory of this process so far, in megabytes."""
    return _peak(psutil.Process(os.getpid()))


def tree_peak(pid: int) -> float:
    """The sum of the peaks of a process and all its living children, in megabytes; pages they share count for each."""
    process = psutil.Process(pid)
    total = 0.0
    for member in (process, *process.children(recursive=True)):
        try:
            total += _peak(member)
        except psutil.Error:
            continue
    return total


def _peak(process: psutil.Process) -> float:
    """Source: Linux manual, proc_pid_status(5), VmHWM; the memory held now where there is no such file."""
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return process.memory_info().rss / MEGABYTE
