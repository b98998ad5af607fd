"""Services as classes whose methods answer requests to a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from tests.azure.messages import Request, Response

_Handler = Callable[..., Response | None]


def route(methods: str, pattern: str) -> Callable[[_Handler], _Handler]:
    """Let a method of a `Routed` answer requests with one of these methods (`GET`, `PUT|POST`) to this path.

    `{name}` stands for one part of the path and `{name*}` for all the rest; both are passed on by name. Paths match in
    upper and lower case, as for Azure Resource Manager.
    """

    def mark(handler: _Handler) -> _Handler:
        handler.__dict__.setdefault("routes", []).append((methods.split("|"), pattern))
        return handler

    return mark


class Routed:
    """A service that tries its routes in turn; `prefix` goes before every pattern."""

    hosts: tuple[str, ...] = ()
    prefix: str = ""
    _marked: ClassVar[list[tuple[str, list[str], str]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        handlers: dict[str, _Handler] = {}
        for each in reversed(cls.__mro__):
            handlers.update({name: value for name, value in vars(each).items() if hasattr(value, "routes")})
        cls._marked = [
            (name, methods, pattern)
            for name, value in handlers.items()
            for methods, pattern in value.routes  # type: ignore[attr-defined]
        ]

    def handle(self, request: Request) -> Response | None:
        """The answer of the first route that matches and gives one."""
        for name, methods, pattern in self._marked:
            if request.method not in methods and methods != ["*"]:
                continue
            if match := _compiled(self.prefix + pattern).fullmatch(request.path):
                response = self.guard(request) or getattr(self, name)(request, **match.groupdict())
                if response is not None:
                    return response
        return None

    def guard(self, request: Request) -> Response | None:
        """A refusal for a request without the required credentials; to be overridden."""
        return None


_patterns: dict[str, re.Pattern[str]] = {}


def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern not in _patterns:
        parts = re.split(r"(\{\w+\*?\})", pattern)
        text = "".join(_group(part) if part.startswith("{") else re.escape(part) for part in parts)
        _patterns[pattern] = re.compile(text, re.IGNORECASE)
    return _patterns[pattern]


def _group(part: str) -> str:
    name = part.strip("{}")
    return f"(?P<{name.rstrip('*')}>{'.*' if name.endswith('*') else '[^/]+'})"
