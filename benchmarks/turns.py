"""Processes that take turns: a measurement inherits no memory, threads or kernels of another, and a busy machine slows all.

Started as `python -m benchmarks.turns MODULE:FUNCTION ARGUMENTS FILE`: calls the function and writes what it returns.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
"""The folder that `benchmarks` is found in."""

Numbers = dict[str, Any]
"""What one measurement found, by name."""


def rounds(contenders: Mapping[str, Callable[[int], Numbers]], count: int) -> dict[str, list[Numbers]]:
    """What each contender measured in each round; in a round all have their turn, and each round another one begins."""
    names = list(contenders)
    found: dict[str, list[Numbers]] = {name: [] for name in names}
    for number in range(count):
        begins = number % len(names)
        for name in names[begins:] + names[:begins]:
            begun = time.perf_counter()
            found[name].append(contenders[name](number))
            spent = time.perf_counter() - begun
            print(f"round {number + 1} of {count}: {name}, {spent:.1f} s", file=sys.stderr, flush=True)
    return found


def measured(function: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Numbers:
    """What a function returns in a process of its own, which has this environment beside ours.

    The function is named `module:function` and gets its arguments by name; they and its answer are JSON.
    Raises: RuntimeError with the end of what the process said when it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.turns", function, json.dumps(arguments), str(answer)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{function} ended with exit code {done.returncode}:\n{done.stdout[-3000:]}")
        found: Numbers = json.loads(answer.read_text(encoding="utf-8"))
        return found


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    found = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(found), encoding="utf-8")
