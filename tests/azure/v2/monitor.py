"""Azure Monitor: the metrics of an online endpoint, as they are some time after its servers counted them.

Source: Azure REST API, "Metrics - List"; Microsoft, "Supported metrics for Microsoft.MachineLearningServices/workspaces/onlineEndpoints".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v2.scoring import Answered, Scoring
from tests.azure.workspace import ID, REGION, Managed

DIMENSIONS: dict[str, Callable[[Answered], str]] = {
    "deployment": lambda each: each.deployment,
    "statusCode": lambda each: str(each.status),
    "statusCodeClass": lambda each: f"{str(each.status)[0]}xx",
    "modelStatusCode": lambda each: each.model_status,
}


def _quantile(share: float) -> Callable[[Sequence[Answered]], float]:
    return lambda several: sorted(1000 * each.seconds for each in several)[int(share * (len(several) - 1))]


METRICS: dict[str, tuple[Callable[[Sequence[Answered]], float], tuple[str, ...]]] = {
    "RequestsPerMinute": (lambda several: float(len(several)), tuple(DIMENSIONS)),
    "RequestLatency": (lambda several: sum(1000 * each.seconds for each in several) / len(several), ("deployment",)),
    **{f"RequestLatency_P{share}": (_quantile(share / 100), ("deployment",)) for share in (50, 90, 95, 99)},
}
"""What each metric gives of the requests of an interval, and the dimensions that it has."""


class Monitor(Managed):
    """The metrics of endpoints. `finest` is the shortest interval in seconds, `lag` after how many a request is counted."""

    prefix = f"{ID}/onlineEndpoints"

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self.finest = 60
        self.lag = 120.0

    @route("GET", "/{name}/providers/microsoft.insights/metrics")
    def metrics(self, request: Request, name: str) -> Response:
        query = request.query
        length = re.fullmatch(r"PT(\d+)([MS])", query["interval"])
        seconds = int(length[1]) * {"M": 60, "S": 1}[length[2]] if length else 0
        if seconds < self.finest:
            return _bad(f"Detected invalid time grain input: {query['interval']}")
        names, wanted = query["metricnames"].split(","), re.findall(r"(\w+) eq '\*'", query.get("$filter", ""))
        for each in names:
            if each not in METRICS:
                return _bad(f"Failed to find metric configuration for metric: {each}")
            if unknown := set(wanted) - set(METRICS[each][1]):
                return _bad(f"Metric: {each} does not support requested dimension combination: {sorted(unknown)}")
        if query["aggregation"] != "Average" or query["api-version"] != "2018-01-01":
            return _bad("This aggregation or version is not supported.")
        begins, ends = (datetime.fromisoformat(each).timestamp() for each in query["timespan"].split("/"))
        known = [
            each
            for each in list(self._scoring.answered)
            if each.endpoint == name and begins <= each.at < min(ends, time.time() - self.lag)
        ]
        times = [begins + seconds * number for number in range(int((ends - begins) // seconds))]
        return answer(
            {
                "cost": len(times),
                "timespan": query["timespan"],
                "interval": query["interval"],
                "namespace": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
                "resourceregion": REGION,
                "value": [
                    {
                        "id": f"{ID}/onlineEndpoints/{name}/providers/Microsoft.Insights/metrics/{each}",
                        "type": "Microsoft.Insights/metrics",
                        "name": {"value": each, "localizedValue": each},
                        "unit": "Count" if each == "RequestsPerMinute" else "MilliSeconds",
                        "timeseries": _series(known, METRICS[each][0], wanted, times, seconds)[
                            : int(query.get("top", 10))
                        ],
                        "errorCode": "Success",
                    }
                    for each in names
                ],
            }
        )


def _series(
    requests: Sequence[Answered],
    value: Callable[[Sequence[Answered]], float],
    dimensions: Sequence[str],
    times: Sequence[float],
    seconds: int,
) -> list[dict[str, Any]]:
    """A series for each combination of the dimensions' values; an interval without requests has a time alone."""

    def key(each: Answered) -> tuple[str, ...]:
        return tuple(DIMENSIONS[name](each) for name in dimensions)

    series = []
    for values, group in groupby(sorted(requests, key=key), key=key):
        several = list(group)
        data = []
        for at in times:
            within = [each for each in several if at <= each.at < at + seconds]
            stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            data.append({"timeStamp": stamp, **({"average": value(within)} if within else {})})
        names = [{"value": name.lower(), "localizedValue": name.lower()} for name in dimensions]
        marks = [{"name": name, "value": each} for name, each in zip(names, values, strict=True)]
        series.append({"metadatavalues": marks, "data": data})
    return series


def _bad(message: str) -> Response:
    return refusal(400, "BadRequest", message)
