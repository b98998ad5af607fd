"""The ASGI application over one model host: what the server of a deployment runs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request

from ftkit import pairs
from ftkit.contracts.monitoring import ENDPOINT
from ftkit.serving import live_counts
from ftkit.serving.access import key_guard
from ftkit.serving.handler import Reply, answering, json_reply, model_reply, refusing, submit
from ftkit.serving.http_api import COUNTS, PROBE, ScoringApplication, http_api, read_body
from ftkit.serving.model_host import ModelHost
from ftkit.serving.schema import parse


def application(host: ModelHost, key: str = "") -> ScoringApplication:
    """Serves a host's bundle, to callers with this key or without any; the bundle begins to load when the server starts."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        host.start()
        yield
        host.close()

    async def score(request: Request) -> Reply:
        with answering(host, request.headers) as observation:
            ready = host.ready()  # a server without a model reads no body
            pending = submit(ready, await read_body(request, host.limits), host.limits, observation)
            if pending.future is not None:
                result = await asyncio.wrap_future(pending.future)
                observation.result = result
            return pending.reply(observation)

    async def model(_: Request) -> Reply:
        return model_reply(host)

    async def ready(_: Request) -> Reply:
        status = host.status
        body = {"status": status.state, "reason": status.reason, "engine": host.engine}
        return json_reply(body, 200 if status.state == "ready" else 503)

    async def counts(request: Request) -> Reply:
        lately = host.counts.measures(float(request.query_params.get("seconds", 60)))
        batcher = host.batcher
        model = {"waiting": batcher.waiting, "calls": batcher.calls, "rows": batcher.rows} if batcher else {}
        return json_reply(
            {"lately": live_counts.to_json(lately), "classes": dict(host.counts.totals.classes), "model": model}
        )

    async def probe(_: Request) -> Reply:
        batcher, bundle = host.ready()
        sample = json.dumps(bundle.sample_request).encode()
        texts = [row.text for row in parse(sample, host.limits, bundle.fields).data[:1]]
        with refusing():
            await asyncio.wrap_future(batcher.submit(texts or [""]))
        return json_reply({"status": "answers"})

    return http_api(
        "ftkit model server",
        score=score,
        model=model,
        ready=ready,
        guard=key_guard(key) if key else None,
        lifespan=lifespan,
        further={COUNTS: counts, PROBE: probe},
        fields=lambda: host.bundle.fields if host.bundle else pairs.TEXT,
        name=os.environ.get(ENDPOINT) or "model",
    )
