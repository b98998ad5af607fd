"""A deployment's server process: one bundle on one socket, for as long as its front lives.

python -m ftkit_local.endpoint.server FOLDER SOCKET LIMITS
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

GRACE = 10.0
"""Seconds that requests in progress have when the front is gone."""


def main(folder: str, socket: str, limits: str) -> None:
    """Serve the bundle until told to stop."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    import uvicorn

    from ftkit.serving.app import application
    from ftkit.serving.host import Host
    from ftkit.serving.request import Limits

    server = uvicorn.Server(
        uvicorn.Config(
            application(Host(Path(folder), Limits(**json.loads(limits)))),
            uds=socket,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=24 * 3600,  # the front decides when a connection is idle for too long
            timeout_graceful_shutdown=int(GRACE),
        )
    )
    threading.Thread(target=_follow_front, args=(server,), daemon=True).start()
    server.run()


def _follow_front(server: object) -> None:
    """End when the front does: it holds the other end of standard input, which the system closes with it."""
    sys.stdin.buffer.read()
    logging.getLogger("ftkit.serving").info("the front is gone; shutting down")
    server.should_exit = True  # type: ignore[attr-defined]
    threading.Event().wait(GRACE)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
