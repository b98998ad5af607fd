"""The program that serves a bundle to the network: what a container runs.

python -m ftkit.serving.standalone FOLDER [--host ADDRESS] [--port NUMBER]

The environment says the rest, as a container's does: FTKIT_KEY is what callers must send, FTKIT_AUTH=none lets anybody call,
FTKIT_ENGINE is the engine (`auto` by default), FTKIT_LIMITS the limits as JSON, FTKIT_ENDPOINT and FTKIT_DEPLOYMENT what the
server is part of, FTKIT_BUNDLE the hash of the bundle that it must serve. A bundle that cannot be served ends the program with exit
code 1, the reason last in its log.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.contracts import AUTO
from ftkit.disclosure import redact_output
from ftkit.encoders.process_environment import process_environment
from ftkit.serving.limits import Limits

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from ftkit.serving.model_host import ModelHost

KEY = "FTKIT_KEY"
AUTH = "FTKIT_AUTH"
ENGINE = "FTKIT_ENGINE"
LIMITS = "FTKIT_LIMITS"
PORT = 8080
GRACE = 30
"""Seconds that requests in progress have when the container is to end."""


def main(arguments: Sequence[str] | None = None, wrapped: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until a signal comes; the exit code. `wrapped` may put another interface before the application."""
    parser = argparse.ArgumentParser(prog="python -m ftkit.serving.standalone", description="Serve a bundle.")
    parser.add_argument("folder", type=Path, help="the bundle")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104  the key guards it
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args(arguments)
    redact_output()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    key = os.environ.get(KEY, "").strip()
    if not key and os.environ.get(AUTH) != "none":
        parser.error(f"{KEY} is not set: give callers a key, or say {AUTH}=none to let anybody call")
    for name, value in process_environment(os.cpu_count() or 1, serving=True).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import uvicorn

    from ftkit.serving.asgi import application
    from ftkit.serving.joined_writes import JoinedHttp
    from ftkit.serving.model_host import ModelHost

    limits = Limits(**json.loads(os.environ.get(LIMITS) or "{}"))
    host = ModelHost(options.folder, limits, os.environ.get(ENGINE) or AUTO)
    server = uvicorn.Server(
        uvicorn.Config(
            wrapped(application(host, key)),
            host=options.host,
            http=JoinedHttp,
            port=options.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=GRACE,
        )
    )
    threading.Thread(target=_end_with_failure, args=(host, server), daemon=True).start()
    server.run()
    return 1 if host.status.state == "failed" else 0


def _end_with_failure(host: ModelHost, server: uvicorn.Server) -> None:
    """End the server when its bundle cannot be served: whoever runs the container sees that, and the log."""
    while host.status.state == "starting":
        time.sleep(0.1)
    if host.status.state == "failed":
        reason = host.status.reason.splitlines()
        logging.getLogger("ftkit.serving").error("ending, since nothing can be served: %s", " ".join(reason))
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
