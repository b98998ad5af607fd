"""Sends requests to an endpoint as any caller would, for deployers whose endpoints have ftkit's own interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ftkit.errors import DeployError

PIN = "x-ftkit-deployment"
"""Header that sends a request to one deployment; answers carry it with the deployment that answered."""


def invoke(
    url: str, key: str, request: Mapping[str, Any], deployment: str | None, endpoint: str, timeout: float
) -> Any:
    """The decoded answer to a request, of one deployment or of the one whose turn it is.

    `key` is empty where anybody may call; `timeout` is in seconds. Raises: DeployError for no answer and for a refusal.
    """
    import httpx2

    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if deployment is not None:
        headers[PIN] = deployment
    try:
        # Plain HTTP: preparing to verify certificates would take longer than the request.
        with httpx2.Client(trust_env=False, verify=False, timeout=timeout) as client:
            answer = client.post(url, content=json.dumps(dict(request)), headers=headers)
        value = answer.json()
    except (httpx2.TransportError, ValueError) as error:
        raise DeployError(f"the endpoint did not answer: {error or type(error).__name__}", url) from error
    if answer.is_error:
        raise DeployError(
            f"the endpoint answered {answer.status_code}: {value['error']}",
            value["where"] or deployment or endpoint,
            value["hint"],
        )
    return value
