"""A stand-in for docker: it keeps contexts as images, and runs what a container would run as a process of this machine.

It has the commands and flags that the deployer uses and refuses every other one. It isolates nothing, installs nothing, and no real engine is behind it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

STATE = Path(os.environ["STAND_IN"])
WITH_VALUE = (
    "--name",
    "--network",
    "--user",
    "--tmpfs",
    "--cap-drop",
    "--security-opt",
    "--volume",
    "--env",
    "--entrypoint",
)
ALONE = ("--rm", "--interactive", "--no-healthcheck", "--read-only")


def main(verb: str, *arguments: str) -> int:
    with (STATE / "commands").open("a") as file:
        file.write(f"{' '.join([verb, *arguments])}\n")
    if (STATE / "down").exists():
        sys.stderr.write("Cannot connect to the Docker daemon. Is the docker daemon running?\n")
        return 1
    match (verb, *arguments):
        case ("info",) | ("rm", "--force", _):
            return 0
        case ("image", "inspect", tag):
            return int(not image(tag).exists())
        case ("image", "rm", tag):
            shutil.rmtree(image(tag), ignore_errors=True)
            return 0
        case ("build", "--tag", tag, context):
            return build(tag, Path(context))
        case ("run", *rest):
            run(list(rest))
    sys.stderr.write(f"the stand-in knows no {verb} {' '.join(arguments)}\n")
    return 2


def image(tag: str) -> Path:
    assert re.fullmatch(r"[a-z0-9/]+:\w[\w.-]{0,127}", tag), tag
    return STATE / "images" / tag.replace(":", "-")


def build(tag: str, context: Path) -> int:
    """Copy what the Dockerfile copies and .dockerignore lets through."""
    if (STATE / "no-network").exists():
        sys.stderr.write("ERROR: could not find a version that satisfies the requirement\n")
        return 1
    ignored, *let_through = (context / ".dockerignore").read_text().split()
    assert ignored == "*", "only what is named is let through"
    for line in (context / "Dockerfile").read_text().splitlines():
        if copied := re.fullmatch(r"COPY (\S+) (\S+)", line):
            name, target = copied[1].rstrip("/"), copied[2]
            assert f"!{name}" in let_through, f"{name} is kept from the image"
            place = image(tag) / target.strip("/")
            if (context / name).is_dir():
                shutil.copytree(context / name, place)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(context / name, place)
    sys.stdout.write(f"built {tag}\n")
    return 0


def run(rest: list[str]) -> None:
    """Become the server, with the paths of the container as paths of this machine, and no variables but those that were passed."""
    options: dict[str, list[str]] = {}
    while rest[0].startswith("--"):
        name = rest.pop(0)
        if name in WITH_VALUE:
            options.setdefault(name, []).append(rest.pop(0))
        else:
            assert name in ALONE, name
    root = image(rest.pop(0))
    assert root.is_dir(), "there is no such image"
    mounted = dict(reversed(each.split(":")[:2]) for each in options["--volume"])
    passed = {name: os.environ[name] for name in options["--env"] if name in os.environ}
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "FTKIT_HOME") if name in os.environ}
    os.chdir(mounted["/run/ftkit"])  # a socket's path must be short
    command = [each.replace("/run/ftkit/", "") for each in rest]
    command = [str(root / "bundle") if each == "/bundle" else each for each in command]
    assert options["--entrypoint"] == ["python"]
    os.execve(sys.executable, [sys.executable, *command], {**kept, **passed})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
