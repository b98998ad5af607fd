"""The HTTP interface of a served model, described once: the server of a bundle and any front before it offer the same.

POST /score        texts in, label names out
GET  /model        what is served: classes, hash, lineage
GET  /healthz      the process lives
GET  /readyz       requests will be answered; otherwise why not
GET  /docs         the interface as a page, with all it needs: it works without the internet
GET  /openapi.json
/v2…              the Open Inference Protocol: see `ftkit.serving.open_inference`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ftkit import pairs
from ftkit.serving.handler import Reply, error_reply, json_reply
from ftkit.serving.limits import Limits
from ftkit.serving.open_inference import ROOT, OpenInference, TranslatedRequest, in_form
from ftkit.serving.openapi import document
from ftkit.serving.schema import Refusal, too_large

Handler = Callable[[Request], Awaitable[Reply]]
Guard = Callable[[Request], None]
Endpoint = Callable[[Request], Awaitable[Response]]

SCORE = "/score"
COUNTS = "/counts"
"""Where a server says what it answered in the last `?seconds=`, and how busy its model is."""
PROBE = "/probe"
"""Where a server shows that its model still answers; no watcher sees it, and it is not counted."""
ASSETS = "/static-offline-docs"


class ScoringApplication:
    """Answers POST /score before any middleware and routing, and passes everything else on to another application.

    Middleware and routing would take longer than the answer's whole way through HTTP.
    """

    def __init__(self, app: ASGIApp, score: Endpoint) -> None:
        self._app = app
        self._score = score

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == SCORE:
            response = await self._score(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def http_api(
    title: str,
    *,
    score: Handler,
    model: Handler,
    ready: Handler,
    guard: Guard | None = None,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
    refusals: Mapping[int, str] | None = None,
    further: Mapping[str, Handler] | None = None,
    fields: Callable[[], tuple[str, ...]] = lambda: pairs.TEXT,
    name: str = "",
) -> ScoringApplication:
    """The ASGI application that answers with these handlers.

    `guard` raises Refusal for a request without the key; it is called before `score` and `model`. `refusals` describes
    the statuses of `score` that only this application has. `further` has handlers of GET by path, behind the same guard.
    `fields` names the texts of a row, as the page shows it. `name` is what the Open Inference Protocol calls the model, by default `title`.
    """
    inference = OpenInference(name or title, score, model, ready, fields)

    async def health(_: Request) -> Reply:
        return json_reply({"status": "alive"})

    async def openapi(request: Request) -> Response:
        root = _root(request)
        return JSONResponse(
            document(title, refusals or {}, guarded=bool(guard), root=root, fields=fields(), name=inference.name)
        )

    async def docs(request: Request) -> Response:
        return _docs_page(title, _root(request))

    scored = _endpoint(score, guard)
    routes = [
        Route(SCORE, scored, methods=["POST"]),
        Route("/model", _endpoint(model, guard)),
        Route("/healthz", _endpoint(health)),
        Route("/readyz", _endpoint(ready)),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        *(Route(path, _endpoint(handler, guard)) for path, handler in (further or {}).items()),
        *_inference_routes(inference, guard),
        Mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")])),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_route}, lifespan=lifespan)
    return ScoringApplication(app, scored)


async def read_body(request: Request, limits: Limits, take: Callable[[int], None] = lambda _: None) -> bytes:
    """The whole body, within the limit. `take` is called with the size of each part, and may refuse it. Raises: Refusal."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.size:
        raise too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limits.size:
                raise too_large(limits)
            take(len(part))
            parts.append(part)
    except ClientDisconnect as error:
        raise Refusal(408, "the request broke off before its end", "body") from error
    body = b"".join(parts)
    return request.translate(body) if isinstance(request, TranslatedRequest) else body


def _inference_routes(inference: OpenInference, guard: Guard | None) -> list[Route]:
    """The routes of the Open Inference Protocol; what tells nothing of the model needs no key."""
    open_to_all = {
        "": inference.server,
        "/health/live": inference.live,
        "/health/ready": inference.server_ready,
        "/models/{name}/ready": inference.model_ready,
    }
    guarded = {"/models": inference.models, "/models/{name}": inference.metadata}
    infer = _endpoint(inference.infer, guard, in_form)
    return [
        *(Route(ROOT + path, _endpoint(handler, form=in_form)) for path, handler in open_to_all.items()),
        *(Route(ROOT + path, _endpoint(handler, guard, in_form)) for path, handler in guarded.items()),
        Route(f"{ROOT}/models/{{name}}/infer", infer, methods=["POST"]),
    ]


def _endpoint(
    handler: Handler, guard: Guard | None = None, form: Callable[[Reply], Reply] = lambda reply: reply
) -> Endpoint:
    """A handler as Starlette calls it; whatever it raises becomes an answer, in this form."""

    async def endpoint(request: Request) -> Response:
        try:
            if guard:
                guard(request)
            reply = await handler(request)
        except Exception as error:
            reply = error_reply(error, request.method, request.scope["path"])
        return _response(form(reply))

    return endpoint


async def _no_such_route(request: Request, error: Exception) -> Response:
    """The answer to a path or method that there is not."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.scope['path']}"
    hint = f"Classify with POST {_root(request)}{SCORE}; GET /docs shows everything."
    refusal = Refusal(error.status_code, error.detail, where, hint, error.headers)
    reply = error_reply(refusal, request.method, request.scope["path"])
    inference = request.scope["path"].removeprefix(_root(request)).startswith(f"{ROOT}/")
    return _response(in_form(reply) if inference else reply)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, reply.headers, media_type=reply.media_type)


def _root(request: Request) -> str:
    """The path below which a proxy offers this interface; mostly nothing."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _docs_page(title: str, root: str) -> HTMLResponse:
    from fastapi.openapi.docs import get_swagger_ui_html  # here, so that servers which show no page start sooner

    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=f"{title} - Swagger UI",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": True},
    )
