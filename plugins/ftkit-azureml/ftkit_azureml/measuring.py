"""What each deployment of an endpoint did, by the metrics that Azure Monitor keeps of it.

They are minutes old and say nothing of answers: requests by status, and how long they took. Source: Microsoft, "Supported metrics for
Microsoft.MachineLearningServices/workspaces/onlineEndpoints"; Azure REST API, "Metrics - List".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time
from typing import Any

from ftkit_azure.sign_in import RETRIES

from ftkit.contracts.measures import Measures, Window

DELAY = 180.0
"""Seconds after which a minute of requests is taken to be complete."""
MINUTE = 60.0
"""Seconds that Azure Monitor counts together, at least."""
MANAGEMENT = "https://management.azure.com"
VERSION = "2018-01-01"
REQUESTS = "RequestsPerMinute"
MEAN, QUANTILES = "RequestLatency", {"p50": "RequestLatency_P50", "p95": "RequestLatency_P95"}
"""Milliseconds, a value for each minute."""
_SERIES = "1000"
"""Combinations of deployment and status that are returned, at most; the service returns ten unless it is asked for more."""
_OF_MODEL = "424"
"""The endpoint's status for whatever its model answered beside 200; the model's own is a dimension beside it."""


@dataclass
class _Minute:
    answered: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    milliseconds: float = 0.0
    quantiles: dict[str, float] = field(default_factory=dict)


def measured(credential: Any, endpoint: str, seconds: float, delay: float) -> dict[str, Measures]:
    """What the deployments of an endpoint, given by its resource id, did in the whole minutes of the last seconds that are complete.

    Raises: what the SDK raises.
    """
    now = time()
    begins, ends = math.ceil((now - seconds) / MINUTE) * MINUTE, math.floor((now - delay) / MINUTE) * MINUTE
    if ends <= begins:
        return {}
    minutes: dict[str, dict[float, _Minute]] = {}
    with _client(credential) as client:
        for of, _, at, value in _values(
            client, endpoint, (begins, ends), [REQUESTS], ("deployment", "statusCode", "modelStatusCode")
        ):
            minute = minutes.setdefault(of["deployment"], {}).setdefault(at, _Minute())
            status = of.get("modelstatuscode", "") if of["statuscode"] == _OF_MODEL else of["statuscode"]
            kind = _kind(status or of["statuscode"])
            if kind is None:
                continue
            if kind:
                minute.errors[kind] += round(value)
            else:
                minute.answered += round(value)
        for of, name, at, value in _values(
            client, endpoint, (begins, ends), [MEAN, *QUANTILES.values()], ("deployment",)
        ):
            known = minutes.get(of["deployment"], {}).get(at)
            if known is None:
                continue
            if name == MEAN:
                known.milliseconds = value
            else:
                known.quantiles[name] = value
    return {name: _measures(each) for name, each in minutes.items()}


def _kind(status: str) -> str | None:
    """The error that a status means: empty for an answer, None for a mistake of the caller, which is nobody's error here."""
    if not status.isdigit():
        return status
    code = int(status)
    if code < 400:
        return ""
    return status if code >= 429 or code == 408 else None


def _measures(minutes: Mapping[float, _Minute]) -> Measures:
    windows = [
        Window(at, int(each.answered), each.answered * each.milliseconds / 1000, each.errors.total())
        for at, each in sorted(minutes.items())
        if each.answered or each.errors
    ]
    answered = sum(each.requests for each in windows)
    errors: Counter[str] = Counter()
    for each in minutes.values():
        errors.update(each.errors)
    latency = {"mean": sum(each.seconds for each in windows) / answered} if answered else {}
    for name, metric in QUANTILES.items():
        weighed = [
            (each.answered, each.quantiles[metric])
            for each in minutes.values()
            if each.answered and metric in each.quantiles
        ]
        if weighed:  # the mean of the minutes' own, as Azure's portal shows it
            latency[name] = sum(count * value for count, value in weighed) / sum(count for count, _ in weighed) / 1000
    return Measures(answered + errors.total(), dict(errors), latency, windows, width=MINUTE)


def _values(
    client: Any, endpoint: str, period: tuple[float, float], metrics: Sequence[str], dimensions: Sequence[str]
) -> list[tuple[dict[str, str], str, float, float]]:
    """The values of metrics: their dimensions, in lower case, the metric, when the minute began, and the value."""
    from azure.core.rest import HttpRequest

    query = {
        "api-version": VERSION,
        "metricnames": ",".join(metrics),
        "aggregation": "Average",
        "interval": f"PT{MINUTE / 60:g}M" if MINUTE >= 60 else f"PT{MINUTE:g}S",
        "timespan": "/".join(datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in period),
        "$filter": " and ".join(f"{each} eq '*'" for each in dimensions),
        "top": _SERIES,
    }
    request = HttpRequest("GET", f"{MANAGEMENT}{endpoint}/providers/microsoft.insights/metrics", params=query)
    response = client.send_request(request)
    response.raise_for_status()
    values = []
    for metric in response.json()["value"]:
        for series in metric["timeseries"]:
            of = {each["name"]["value"].lower(): each["value"] for each in series["metadatavalues"]}
            for point in series["data"]:
                if point.get("average") is not None:
                    at = datetime.fromisoformat(point["timeStamp"]).timestamp()
                    values.append((of, metric["name"]["value"], at, float(point["average"])))
    return values


def _client(credential: Any) -> Any:
    from azure.core.pipeline import policies
    from azure.mgmt.core import ARMPipelineClient
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    signing = ARMChallengeAuthenticationPolicy(credential, f"{MANAGEMENT}/.default")
    return ARMPipelineClient(MANAGEMENT, policies=[policies.RetryPolicy(retry_total=RETRIES), signing])
