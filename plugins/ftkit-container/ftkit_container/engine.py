"""The container engine of this machine, found by its command: docker or podman."""

from __future__ import annotations

import shutil
import subprocess

from ftkit.errors import DeployError, PluginError
from ftkit.redaction import redacted

ENGINES = ("docker", "podman")
PATIENCE = 30.0
"""Seconds for an engine to say that it runs."""

_START = {
    "docker": "Start it (`systemctl start docker`, or Docker Desktop); your account must be allowed to use it.",
    "podman": "`podman info` says what it lacks.",
}


def path(command: str) -> str:
    """The path of this engine, or of the first that is installed. Raises: PluginError."""
    for each in (command,) if command else ENGINES:
        if program := shutil.which(each):
            return program
    raise PluginError(
        f"{command or 'a container engine'} is not installed",
        where="deploy",
        hint="Install docker or podman. Without one, `ftkit export RUN --for container` writes the folder to build the image from.",
    )


def require(program: str) -> None:
    """Raises: DeployError unless the engine runs, with what to do."""
    name = program.rsplit("/", 1)[-1]
    try:
        asked = subprocess.run(
            [program, "info"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        what = f"{name} does not answer within {PATIENCE:g} s" if late else str(error)
        raise DeployError(f"the container engine cannot be used: {what}", program, _START.get(name, "")) from error
    if asked.returncode:
        lines = redacted(asked.stderr.strip() or asked.stdout.strip()).splitlines()
        what = lines[-1] if lines else f"`{name} info` ended with exit code {asked.returncode}"
        raise DeployError(f"the container engine is not running: {what}", program, _START.get(name, ""))


def remove_image(program: str, image: str) -> None:
    """Remove an image if it is there; one that is in use, or an engine that is gone, keeps it."""
    subprocess.run([program, "image", "rm", image], stdin=subprocess.DEVNULL, capture_output=True, check=False)
