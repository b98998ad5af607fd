"""One replica of a deployment: a bundle served by ftkit's own host and batcher; Serve's batching is not used."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

from ftkit_ray.serve.files import EndpointFiles

Answer = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


class Replica:
    """Loads the bundle, then answers."""

    def __init__(
        self, endpoint: str, deployment: str, files: EndpointFiles, engine: str, limits: Mapping[str, int]
    ) -> None:
        """Raises: RuntimeError with the reason when the bundle cannot be served; Serve then says that the deployment failed."""
        from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
        from ftkit.disclosure import redact_output
        from ftkit.serving.limits import Limits
        from ftkit.serving.model_host import ModelHost

        bundle_hash = str(files.facts(deployment).get("bundle_hash", ""))
        os.environ |= {DEPLOYMENT: deployment, ENDPOINT: endpoint, BUNDLE_HASH: bundle_hash}
        redact_output()
        self._log = _log_to(files, deployment)
        self._host = ModelHost(files.bundle(deployment), Limits(**limits), engine)
        self._host.load()  # in the constructor, so that Serve knows when it is ready
        status = self._host.status
        if status.state != "ready":
            files.set_facts(deployment, failed=status.reason)
            raise RuntimeError(status.reason)
        files.set_facts(deployment, engine=self._host.engine)

    async def score(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Answer a request to /score, refusals and failures included."""
        from ftkit.serving.handler import answering, error_reply, submit

        try:
            with answering(self._host, headers) as observation:
                pending = submit(self._host.ready(), body, self._host.limits, observation)
                if pending.future is not None:
                    result = await asyncio.wrap_future(pending.future)
                    observation.result = result
                reply = pending.reply(observation)
        except Exception as error:
            reply = error_reply(error, "POST", "/score")
        return reply.status, reply.body, dict(reply.headers)

    async def model(self, _body: bytes, _headers: dict[str, str]) -> Answer:
        """Answer a request to /model: what is served."""
        from ftkit.serving.handler import model_reply

        reply = model_reply(self._host)
        return reply.status, reply.body, dict(reply.headers)

    def __del__(self) -> None:
        """Serve calls this when the replica ends, after its requests are answered."""
        if hasattr(self, "_host"):
            self._host.close()
            logging.getLogger("ftkit").removeHandler(self._log)


def _log_to(files: EndpointFiles, deployment: str) -> logging.Handler:
    """Write what ftkit logs to a file of this replica's own, where every node can read it."""
    folder = files.logs(deployment)
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / f"{socket.gethostname()}-{os.getpid()}.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logger = logging.getLogger("ftkit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
