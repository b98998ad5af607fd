"""Answers of AWS, and those with which it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, body and headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A value as a service with JSON answers it."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/x-amz-json-1.1", **(headers or {})})


def refusal(status: int, code: str, message: str) -> Answer:
    """What a service with JSON refuses with."""
    return answer({"__type": code, "message": message, "Message": message}, status, {"x-amzn-ErrorType": code})


def s3_refusal(status: int, code: str, message: str) -> Answer:
    """What S3 refuses with."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})
