"""The program that a container runs: ftkit's own server behind the paths that SageMaker asks.

python -m ftkit_sagemaker.serve

SageMaker unpacks model.tar.gz into /opt/ml/model, starts the container with the argument `serve`, waits until GET /ping is answered with
status 200, and sends requests to POST /invocations, all on port 8080. Source: Amazon SageMaker, "Use your own inference code with hosting
services". Every other path is that of ftkit's server.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.disclosure import redact_output
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

MODEL = "SM_MODEL_DIR"
"""Variable with the folder of the model, where it is not /opt/ml/model."""
PORT = "SAGEMAKER_BIND_TO_PORT"
"""Variable with the port, where it is not 8080."""
PATHS = {"/ping": "/readyz", "/invocations": "/score"}
"""What SageMaker asks, and what ftkit's server calls it."""


class Hosted:
    """Answers under SageMaker's paths what an application answers under ftkit's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := PATHS.get(scope["path"])):
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def main() -> int:
    """Serve until a signal comes; ends with the reason in the log where the bundle cannot be served."""
    redact_output()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    import uvicorn

    from ftkit.serving.asgi import application

    limits = Limits(**json.loads(os.environ.get("FTKIT_LIMITS", "{}")))
    host = ModelHost(Path(os.environ.get(MODEL, "/opt/ml/model")), limits, os.environ.get("FTKIT_ENGINE", "native"))
    port = int(os.environ.get(PORT, "8080"))
    server = uvicorn.Server(
        uvicorn.Config(
            Hosted(application(host)),
            host="0.0.0.0",  # noqa: S104  nothing but SageMaker reaches the container
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than SageMaker keeps a connection that is idle
            timeout_graceful_shutdown=20,  # SageMaker kills a container 30 s after it asked it to end
        )
    )
    threading.Thread(target=_end_without_model, args=(server, host), daemon=True).start()
    server.run()
    return 1 if host.status.state == "failed" else 0


def _end_without_model(server: uvicorn.Server, host: ModelHost) -> None:
    """End the server when its model does not load: SageMaker then sees at once that it will never answer."""
    while host.status.state == "starting":
        time.sleep(0.1)
    if host.status.state == "failed":
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
