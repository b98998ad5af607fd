"""The front process of an endpoint: it answers callers, and keeps the deployments' servers running.

    python -m ftkit_local.endpoint.front FOLDER SOCKET

SOCKET is the file descriptor of a listening socket. The process that starts the front binds it, so that a port that is
taken is an error there and not a line in a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock

from ftkit.disclosure import redact_output
from ftkit.serving.monitoring import front_observer
from ftkit_local.endpoint.admin import admin
from ftkit_local.endpoint.folder import Folder
from ftkit_local.endpoint.intake import BoundedHttp, most_connections
from ftkit_local.endpoint.proxy import Proxy, public
from ftkit_local.endpoint.supervisor import Supervisor

log = logging.getLogger("ftkit.front")


class Listener(uvicorn.Server):
    """One of two servers in this process: signals are the front's own business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(root: str, descriptor: str) -> None:
    """Serve the endpoint in this folder until it is stopped."""
    redact_output()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    os.umask(0o077)
    folder = Folder(Path(root))
    os.chdir(root)  # sockets are addressed from here: their paths may be too long otherwise
    listening = socket.socket(fileno=int(descriptor))
    listening.set_inheritable(False)  # a server that outlived the front by a moment would keep the port
    with FileLock(folder.alive, timeout=10):
        folder.pid.write_text(str(os.getpid()), encoding="ascii")
        with contextlib.suppress(FileNotFoundError):
            os.unlink("front.sock")
        private = socket.socket(socket.AF_UNIX)
        private.bind("front.sock")
        private.listen()
        make_loop = _config(None, 1).get_loop_factory()
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve(folder, listening, private))
        with contextlib.suppress(FileNotFoundError):
            os.unlink("front.sock")
        folder.pid.unlink(missing_ok=True)


async def serve(folder: Folder, listening: socket.socket, private: socket.socket) -> None:
    """Answer on both sockets until the endpoint is stopped, then end the deployments' servers."""
    state = folder.read()
    if state is None:
        raise SystemExit("there is no endpoint in this folder")
    supervisor = Supervisor(folder, state)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    key = folder.read_key() if state.auth == "key" else ""
    if state.auth == "key" and not key:
        raise SystemExit("the endpoint's key is missing")
    proxy = Proxy(supervisor, folder.root.name)
    BoundedHttp.limit = most_connections()
    listeners = {
        Listener(_config(public(proxy, folder.root.name, key=key), grace=10, http=BoundedHttp)): listening,
        Listener(_config(admin(supervisor, stopped.set), grace=1)): private,
    }
    supervisor.start()
    serving = [asyncio.create_task(server.serve(sockets=[socket])) for server, socket in listeners.items()]
    log.info("answering on %s:%d", state.host, state.port)
    observing = asyncio.create_task(_observe(proxy, folder.root.name))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    for server in listeners:
        server.should_exit = True
    await asyncio.gather(*serving, return_exceptions=True)
    await supervisor.close()
    observing.cancel()
    if proxy.observer:
        await asyncio.to_thread(proxy.observer.close)
    log.info("stopped")


async def _observe(proxy: Proxy, endpoint: str) -> None:
    """Begin to observe refused requests; loading the plugins may take its time, and callers do not wait for it."""
    try:
        proxy.observer = await asyncio.to_thread(front_observer, endpoint)
    except Exception:
        log.exception("requests that no deployment answers are not passed to watchers")


def _config(app: Any, grace: int, http: Any = "auto") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        backlog=1024,
        timeout_keep_alive=120,  # a client that uses a connection again at the moment it is closed loses its request
        timeout_graceful_shutdown=grace,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
