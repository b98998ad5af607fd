"""Loads a bundle as another machine would, in a process of its own: no network, no files but the bundle's.

python -m ftkit_strict.reload_process JOB RESULT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ftkit_strict.sandbox import Watch, leave, software


def main(job: str, result: str) -> None:
    """Carry out a job and write down what came of it."""
    asked = json.loads(Path(job).read_text(encoding="utf-8"))
    allowed = [*software(), *asked["allowed"]]
    found: dict[str, Any] = {"isolated": leave([Path(each) for each in asked["hidden"]])}
    watch = Watch(allowed)
    watch.start()
    try:
        from ftkit.bundle import bundle

        opened = bundle.verify(asked["bundle"])
        probabilities = opened.probabilities(asked["texts"])
        found |= {"hash": opened.hash, "classes": list(opened.classes), "probabilities": probabilities.tolist()}
    except BaseException as error:  # whatever it is, the other side has to say it
        found["error"] = getattr(error, "what", "") or f"{type(error).__name__}: {error}"
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  the log of this process
    found |= {"reached": watch.reached, "read": watch.read}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
