"""What each variant of an endpoint did, by the metrics that CloudWatch keeps of it: minutes old, and nothing of answers.

Source: Amazon SageMaker, "Amazon SageMaker AI metrics in Amazon CloudWatch", endpoint invocation metrics.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from time import time
from typing import Any

from ftkit.contracts.measures import Measures, Window

DELAY = 180.0
"""Seconds after which a minute of requests is taken to be complete."""
MINUTE = 60
NAMESPACE = "AWS/SageMaker"
METRICS = {
    "invocations": ("Invocations", "Sum"),
    "failed": ("Invocation5XXErrors", "Sum"),
    "callers": ("Invocation4XXErrors", "Sum"),
    "errors": ("InvocationModelErrors", "Sum"),
    "mean": ("ModelLatency", "Average"),
}
"""Each with its statistic; the latency is in microseconds. Model errors are those of 4XX and 5XX, and requests without an answer."""


def measured(
    cloudwatch: Any, endpoint: str, variants: Sequence[str], seconds: float, delay: float
) -> dict[str, Measures]:
    """What variants did in the whole minutes of the last seconds that are complete. Raises: what the SDK raises."""
    now = time()
    begins, ends = math.ceil((now - seconds) / MINUTE) * MINUTE, math.floor((now - delay) / MINUTE) * MINUTE
    if ends <= begins or not variants:
        return {}
    queries = [
        {
            "Id": f"{key}_{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": endpoint},
                        {"Name": "VariantName", "Value": variant},
                    ],
                },
                "Period": MINUTE,
                "Stat": statistic,
            },
        }
        for number, variant in enumerate(variants)
        for key, (metric, statistic) in METRICS.items()
    ]
    period = {"StartTime": datetime.fromtimestamp(begins, UTC), "EndTime": datetime.fromtimestamp(ends, UTC)}
    minutes: list[defaultdict[float, dict[str, float]]] = [defaultdict(dict) for _ in variants]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **period)
    for result in (each for page in pages for each in page["MetricDataResults"]):
        key, _, number = result["Id"].partition("_")
        for at, value in zip(result["Timestamps"], result["Values"], strict=True):
            minutes[int(number)][at.timestamp()][key] = value
    return {variant: _measures(each) for variant, each in zip(variants, minutes, strict=True) if each}


def _measures(minutes: dict[float, dict[str, float]]) -> Measures:
    windows, errors = [], Counter[str]()
    for at, values in sorted(minutes.items()):
        failed = round(values.get("failed", 0))
        unanswered = max(0, round(values.get("errors", 0)) - failed - round(values.get("callers", 0)))
        errors.update({"500": failed, "unanswered": unanswered})
        answered = max(0, round(values.get("invocations", 0)) - round(values.get("callers", 0)) - failed - unanswered)
        if answered or failed or unanswered:
            windows.append(Window(at, answered, answered * values.get("mean", 0) / 1e6, failed + unanswered))
    total = sum(each.requests for each in windows)
    latency = {"mean": sum(each.seconds for each in windows) / total} if total else {}
    kinds = {kind: count for kind, count in errors.items() if count}
    return Measures(total + sum(kinds.values()), kinds, latency, windows, width=MINUTE)
