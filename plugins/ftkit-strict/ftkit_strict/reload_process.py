"""Loads a bundle as another machine would, in a process of its own: no network, no files but the bundle's.

python -m ftkit_strict.reload_process JOB RESULT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ftkit.errors import FtkitError
from ftkit_strict.sandbox import AccessGuard, enter_namespaces, software_folders


def main(job: str, result: str) -> None:
    """Carry out the job of one JSON file and write its result to another."""
    task = json.loads(Path(job).read_text(encoding="utf-8"))
    allowed = [*software_folders(), *task["allowed"]]
    report: dict[str, Any] = {"isolated": enter_namespaces([Path(path) for path in task["hidden"]])}
    guard = AccessGuard(allowed)
    guard.start()
    try:
        from ftkit.bundle import bundle

        opened = bundle.verify(task["bundle"])
        probabilities = opened.probabilities(task["texts"])
        report |= {"hash": opened.hash, "classes": list(opened.classes), "probabilities": probabilities.tolist()}
    except BaseException as error:  # even SystemExit must reach the process that waits for the result
        report["error"] = error.what if isinstance(error, FtkitError) else f"{type(error).__name__}: {error}"
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  the log of this process
    report |= {"hosts": guard.hosts, "files": guard.files}
    Path(result).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
