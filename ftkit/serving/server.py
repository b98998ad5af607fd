"""The program that serves a bundle: one bundle on one socket, for as long as the process that started it lives.

python -m ftkit.serving.server FOLDER SOCKET ENGINE LIMITS

An endpoint's deployments and the promotion tests start the same program, by `command` and in `environment`: what is
tested is what is served.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import scratch
from ftkit.bundled_plugins import how_to_install
from ftkit.contracts import NATIVE
from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
from ftkit.disclosure import redact_output
from ftkit.encoders.process_environment import process_environment
from ftkit.errors import PluginError
from ftkit.serving.limits import Limits

if TYPE_CHECKING:
    import uvicorn

GRACE = 10.0
"""Seconds that requests in progress have when the process that started the server is gone."""

LONGEST_SOCKET = 100
"""Bytes of a path that a socket's address holds on every system."""

NEEDED = ("starlette", "fastapi_offline", "uvicorn")
"""Packages without which nothing can be served."""


def command(folder: str | Path, socket: str | Path, limits: Limits, engine: str = NATIVE) -> list[str]:
    """The command that serves a bundle by one of its engines.

    Raises: PluginError when what it needs is not installed.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise PluginError(
            f"a model cannot be served: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where="ftkit.serving",
            hint=f"Install what serving needs: {how_to_install('ftkit[serving]')}",
        )
    # -P: what lies in the working directory must not shadow an installed module.
    program = [sys.executable, "-P", "-m", "ftkit.serving.server"]
    return [*program, str(folder), str(socket), engine, json.dumps(asdict(limits))]


def environment(threads: int = 0, endpoint: str = "", deployment: str = "", bundle_hash: str = "") -> dict[str, str]:
    """The environment of a server: threads and allocator set, no connection to any hub, every line logged at once.

    `threads` are those of its matrix products; 0 takes as many as there are cores. `endpoint` and `deployment` name
    what the server is part of: only the requests of a deployment are live traffic, which plugins may watch. Of a bundle with another
    hash than `bundle_hash` the server says that it cannot be served.
    """
    threads = threads or os.cpu_count() or 1
    return {
        **os.environ,
        **process_environment(threads, serving=True),
        DEPLOYMENT: deployment,
        BUNDLE_HASH: bundle_hash,
        ENDPOINT: endpoint,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path is short enough for a socket in it."""
    too_long = len(os.fsencode(tempfile.gettempdir())) > LONGEST_SOCKET // 2
    short = "/tmp" if too_long else None  # noqa: S108  the folder in it is private
    with scratch.folder(parent=short) as folder:
        yield folder


def death(code: int) -> str:
    """How a server process ended, for a sentence."""
    if code >= 0:
        return f"its server process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
    return f"its server process was killed by {name}{memory}"


def main(folder: str, socket: str, engine: str, limits: str) -> None:
    """Serve the bundle until a signal comes, or the process that started this one is gone."""
    redact_output()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    import uvicorn

    from ftkit.serving.asgi import application
    from ftkit.serving.joined_writes import JoinedHttp
    from ftkit.serving.model_host import ModelHost

    server = uvicorn.Server(
        uvicorn.Config(
            application(
                ModelHost(Path(folder), Limits(**json.loads(limits)), engine)
            ),  # only the process that started this one reaches it
            uds=socket,
            http=JoinedHttp,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # only the front knows its callers
            timeout_keep_alive=24 * 3600,  # the client decides when a connection was idle for too long
            timeout_graceful_shutdown=int(GRACE),
        )
    )
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    server.run()


def _end_with_parent(server: uvicorn.Server) -> None:
    """End with the process that started this one, which holds the other end of standard input."""
    # Not through `sys.stdin`: a thread in its buffer would not let the process end in peace.
    while os.read(0, 1024):
        pass
    logging.getLogger("ftkit.serving").info("the process that started this server is gone; shutting down")
    server.should_exit = True
    threading.Event().wait(GRACE)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
