"""Measurements in processes that take turns: none inherits memory, threads or kernels, and all share a busy machine.

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
"""The folder that holds the package `benchmarks`."""

Numbers = dict[str, Any]
"""The results of one measurement, by name."""


def rounds(contenders: Mapping[str, Callable[[int], Numbers]], count: int) -> dict[str, list[Numbers]]:
    """The numbers of each contender by round; each round starts with another contender."""
    names = list(contenders)
    results: dict[str, list[Numbers]] = {name: [] for name in names}
    for number in range(count):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            results[name].append(contenders[name](number))
            spent = time.perf_counter() - start
            print(f"round {number + 1} of {count}: {name}, {spent:.1f} s", file=sys.stderr, flush=True)
    return results


def measured(function: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Numbers:
    """What a function returns in a process of its own, with this environment in addition to ours.

    The function is named `module:function` and gets its arguments by name; they and its result are JSON.
    Raises: RuntimeError with the end of the output of a process that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        process = subprocess.run(
            [sys.executable, "-m", "benchmarks.turns", function, json.dumps(arguments), str(result)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if process.returncode:
            raise RuntimeError(f"{function} ended with exit code {process.returncode}:\n{process.stdout[-3000:]}")
        numbers: Numbers = json.loads(result.read_text(encoding="utf-8"))
        return numbers


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    numbers = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(numbers), encoding="utf-8")
