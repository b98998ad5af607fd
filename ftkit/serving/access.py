"""Who may call an endpoint: those who send its key."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from starlette.requests import Request

from ftkit.serving.schema import Refusal


def key_guard(key: str) -> Callable[[Request], None]:
    """A check of requests that raises Refusal for one without this key."""
    expected = key.encode()

    def guard(request: Request) -> None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode(), expected):
            raise Refusal(
                401,
                "the key is wrong" if sent else "the key is missing",
                "header Authorization",
                "Send `Authorization: Bearer KEY`; `ftkit endpoint status` shows the key.",
                {"WWW-Authenticate": "Bearer"},
            )

    return guard
