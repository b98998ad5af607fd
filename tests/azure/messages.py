"""Requests as services receive them, and their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request, read whole."""

    method: str
    host: str
    target: str
    """Path and query as they were sent."""
    headers: Message
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query, keep_blank_values=True).items()}

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or None without one."""
        return json.loads(self.body.decode("utf-8-sig")) if self.body else None

    @cached_property
    def form(self) -> dict[str, str]:
        """The body as the fields of a form."""
        return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}"


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


def answer(value: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as a JSON answer; None has no body."""
    body = b"" if value is None else json.dumps(value).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the form of Azure Resource Manager. Source: Microsoft, "Azure REST API guidelines", errors."""
    return answer({"error": {"code": code, "message": message, "details": [], "additionalInfo": []}}, status, headers)
