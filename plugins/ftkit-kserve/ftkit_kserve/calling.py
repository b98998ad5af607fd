"""Sends a request through the gateway, as any caller would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ftkit.errors import DeployError
from ftkit.redaction import redacted
from ftkit.serving.http_client import PIN
from ftkit_kserve.options import KServeOptions

MORE = 5.0
"""Seconds beyond `request_timeout`, so that the refusal of whoever gave up first is seen."""


def invoke(options: KServeOptions, key: str, request: Mapping[str, Any], deployment: str | None) -> Any:
    """The decoded answer. Raises: DeployError for no answer and for a refusal, by the server or by the gateway."""
    import httpx2

    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if urlsplit(options.address).hostname != options.hostname:
        headers["Host"] = options.hostname
    if deployment is not None:
        headers[PIN] = deployment
    url = f"{options.address}/score"
    where = f"{options.endpoint}/{deployment}" if deployment else options.endpoint
    try:
        verify = urlsplit(url).scheme == "https"  # preparing to verify certificates would take longer than the request
        with httpx2.Client(trust_env=False, verify=verify, timeout=options.request_timeout + MORE) as client:
            answer = client.post(url, content=json.dumps(dict(request)), headers=headers)
    except httpx2.TransportError as error:
        raise DeployError(
            f"the gateway did not answer: {error or type(error).__name__}",
            url,
            "If this machine reaches it elsewhere than callers do, set deploy.url.",
        ) from error
    try:
        value = answer.json()
    except ValueError as error:
        text = redacted(answer.text.strip())[:200] or "nothing"
        raise DeployError(f"the gateway answered {answer.status_code}: {text}", where) from error
    if answer.is_error:
        failure = value if isinstance(value, dict) else {}
        what = failure.get("error", "no reason given")
        raise DeployError(
            f"the endpoint answered {answer.status_code}: {what}",
            failure.get("where") or where,
            failure.get("hint", ""),
        )
    return value
