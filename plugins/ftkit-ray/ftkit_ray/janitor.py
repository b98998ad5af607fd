"""Removes a folder when the process that owns it is gone, in whatever way that ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Its first process ends at once: Ray kills the children of a process that it ends, and this must outlive both.
_PROGRAM = """
import os, shutil, sys, time
if os.fork():
    os._exit(0)
sys.stdin.buffer.read()
for _ in range(100):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.1)
"""


class Janitor:
    """Waits beside this process for its end, and then removes a folder; for some seconds again, while others still write there."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _PROGRAM, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._process.wait()

    def remove(self) -> None:
        """Have the folder removed now; this does not wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
