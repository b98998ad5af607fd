"""The program that the endpoint's front starts for a deployment: it builds the image if it is not there, and becomes its container.

python -m ftkit_container.run ENGINE CONTEXT IMAGE NAME COMMAND…

COMMAND runs the container in the foreground. It takes the place of this program, so that signals, standard input and the log are the container's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType


def prepare(engine: str, context: str, image: str, name: str) -> int:
    """Build the image where it is not there, and remove what a killed front has left behind; an exit code."""
    if not _succeeds([engine, "image", "inspect", image]):
        building = subprocess.Popen([engine, "build", "--tag", image, context], stdin=subprocess.DEVNULL)

        def end(number: int, _: FrameType | None) -> None:
            building.terminate()
            sys.exit(128 + number)

        before = signal.signal(signal.SIGTERM, end)
        if code := building.wait():
            sys.stderr.write(f"the image could not be built: the build ended with exit code {code}\n")
            return 1
        signal.signal(signal.SIGTERM, before)
    _succeeds([engine, "rm", "--force", name])
    return 0


def _succeeds(command: list[str]) -> bool:
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return ended.returncode == 0


def main(engine: str, context: str, image: str, name: str, *command: str) -> None:
    """Prepare the image, and run the container in place of this program."""
    if code := prepare(engine, context, image, name):
        sys.exit(code)
    sys.stderr.flush()
    os.execv(command[0], list(command))  # noqa: S606  there is no shell on purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
