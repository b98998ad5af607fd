"""The program that a container runs: ftkit's own server behind the paths that SageMaker asks.

python -m ftkit_sagemaker.serve

SageMaker unpacks model.tar.gz into /opt/ml/model, starts the container with the argument `serve`, waits until GET /ping is answered with
status 200, and sends requests to POST /invocations, all on port 8080. Source: Amazon SageMaker, "Use your own inference code with hosting
services". Every other path is that of ftkit's server. Who may call is decided by IAM: nothing but SageMaker reaches the container.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ftkit.serving import standalone

if TYPE_CHECKING:
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
    """Serve until a signal comes; the exit code, which is 1 where the bundle cannot be served."""
    os.environ.setdefault(standalone.AUTH, "none")
    port = os.environ.get(PORT, str(standalone.PORT))
    return standalone.main([os.environ.get(MODEL, "/opt/ml/model"), "--port", port], Hosted)


if __name__ == "__main__":
    sys.exit(main())
