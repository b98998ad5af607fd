"""The HTTP interface of a served model, described once: the server of a bundle and any front before it offer the same.

POST /score        texts in, label names out
GET  /model        what is served: classes, hash, lineage
GET  /healthz      the process lives
GET  /readyz       requests will be answered; otherwise why not
GET  /docs         the interface as a page, with all it needs: it works without the internet
GET  /openapi.json
"""

# Without `from __future__ import annotations`: FastAPI reads the handlers' types, and they are local to `interface`.
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.serving.handler import encoded, failure
from ftkit.serving.schema import Failure, Refusal, Scored, ScoreRequest

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("ftkit.serving")

Handler = Callable[["Request"], Awaitable["Response"]]

REFUSALS = {
    400: "The body is not JSON.",
    413: "The request is too large.",
    422: "The request has another form; the answer names the place.",
    429: "Too many requests wait for the model; come back after `Retry-After` seconds.",
    503: "The model is not ready, or the server is shutting down; come back after `Retry-After` seconds.",
}


def interface(
    title: str,
    *,
    score: Handler,
    model: Handler,
    ready: Handler,
    guard: Callable[["Request"], None] | None = None,
    lifespan: Any = None,
    refusals: dict[int, str] | None = None,
) -> "FastAPI":
    """An ASGI application that answers with these handlers.

    `guard` raises Refusal for a request that carries no key; it is asked before `score` and `model`.
    """
    from fastapi import Depends, Request
    from fastapi.security import HTTPBearer
    from fastapi_offline import FastAPIOffline
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse, Response

    from ftkit._version import __version__

    async def answered(request: Request) -> Response:
        try:
            if guard:
                guard(request)
            return await score(request)
        except Refusal as refusal:
            return json_response(refusal.body, refusal.status, refusal.headers)
        except Exception as error:
            log.error("POST /score failed", exc_info=error)
            return json_response(failure(error, "/score"), 500)

    def directly(rest: "ASGIApp") -> "ASGIApp":
        """Answer what is asked all the time before it is routed: that would cost more than the answer's way through HTTP."""

        async def asked(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/score":
                response = await answered(Request(scope, receive))
                await response(scope, receive, send)
            else:
                await rest(scope, receive, send)

        return asked

    app = FastAPIOffline(
        title=title,
        version=__version__,
        description="A text classifier, served by ftkit.",
        redoc_url=None,
        lifespan=lifespan,
        swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": True},
    )

    stack = app.build_middleware_stack  # around all of it, what the framework puts outermost included
    app.build_middleware_stack = lambda: directly(stack())  # type: ignore[method-assign]

    async def guarded(request: Request) -> None:
        if guard:
            guard(request)

    keys: Sequence[Any] = (
        [Depends(HTTPBearer(auto_error=False, description="The endpoint's key.")), Depends(guarded)] if guard else []
    )
    said = {**REFUSALS, **({401: "The key is missing or wrong."} if guard else {}), **(refusals or {})}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Failure, "description": sentence} for status, sentence in sorted(said.items())
    }
    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready, and why."}}

    @app.post(
        "/score",
        summary="Classify texts",
        tags=["model"],
        dependencies=keys,
        response_model=list[str] | list[Scored],
        responses=responses,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ScoreRequest.model_json_schema(ref_template=_REFERENCE)}},
            }
        },
    )
    async def post_score(request: Request) -> Any:
        """One label name per text; with `"scores": true`, the score of every class."""
        return await answered(request)

    @app.get("/model", summary="What is served", tags=["model"], dependencies=keys, response_model=dict[str, Any])
    async def get_model(request: Request) -> Any:
        """Classes, the bundle's hash, and where the model comes from."""
        return await model(request)

    @app.get("/healthz", summary="Whether the process lives", tags=["health"], response_model=dict[str, str])
    async def get_healthz() -> Any:
        """Answers as soon as the process is up."""
        return json_response({"status": "alive"})

    @app.get(
        "/readyz",
        summary="Whether requests will be answered",
        tags=["health"],
        response_model=dict[str, str],
        responses=unready,
    )
    async def get_readyz(request: Request) -> Any:
        """200 when the model is loaded and warm; 503 with the reason until then."""
        return await ready(request)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return json_response(refusal.body, refusal.status, refusal.headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        hint = f"Classify with POST {request.scope.get('root_path', '')}/score; GET /docs shows everything."
        body = {"error": str(error.detail), "where": f"{request.method} {request.url.path}", "hint": hint}
        return JSONResponse(body, error.status_code, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return json_response(failure(error, request.url.path), 500)

    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        models = ScoreRequest.model_json_schema(ref_template=_REFERENCE).get("$defs", {})
        document.setdefault("components", {}).setdefault("schemas", {}).update(models)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


_REFERENCE = "#/components/schemas/{model}"


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
    """A JSON answer."""
    from starlette.responses import Response

    return Response(encoded(value), status, headers, media_type="application/json")


async def read_body(request: "Request", limit: int, refusal: Callable[[], Refusal]) -> bytes:
    """The whole body, never more than `limit` bytes of it. Raises: the refusal."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise refusal()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise refusal()
        parts.append(part)
    return b"".join(parts)
