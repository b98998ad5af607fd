"""What an endpoint does, in the form of Prometheus.

Names follow Prometheus' conventions: counters end in `_total`, times are in seconds. Source: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from ftkit.serving.live_counts import BUCKETS
from ftkit_local.endpoint.child import Child
from ftkit_local.endpoint.supervisor import Supervisor

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_OF = ["endpoint", "deployment"]


async def exposition(endpoint: str, supervisor: Supervisor) -> bytes:
    """All deployments of the endpoint, with what their servers say of themselves."""
    children = list(supervisor.servers.values())
    servers = await asyncio.gather(*(child.look_at() for child in children))
    return generate_latest(_Collected(endpoint, list(zip(children, servers, strict=True))))


class _Collected:
    """What `generate_latest` takes for a registry: the metrics of one moment."""

    def __init__(self, endpoint: str, deployments: list[tuple[Child, dict[str, Any]]]) -> None:
        self._endpoint, self._deployments = endpoint, deployments

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("ftkit_requests", "Requests that a deployment was sent.", labels=_OF)
        errors = CounterMetricFamily("ftkit_errors", "Requests that failed, by kind.", labels=[*_OF, "kind"])
        seconds = HistogramMetricFamily("ftkit_request_seconds", "Time of an answered request.", labels=_OF)
        flying = GaugeMetricFamily("ftkit_requests_in_flight", "Requests that wait for an answer.", labels=_OF)
        share = GaugeMetricFamily("ftkit_traffic_percent", "Share of the endpoint's requests.", labels=_OF)
        ready = GaugeMetricFamily("ftkit_ready", "1 while a deployment answers.", labels=_OF)
        restarts = CounterMetricFamily("ftkit_restarts", "Times that its server was started again.", labels=_OF)
        about = InfoMetricFamily("ftkit_deployment", "Engine and bundle of a deployment.", labels=_OF)
        waiting = GaugeMetricFamily("ftkit_texts_waiting", "Texts that wait for the model.", labels=_OF)
        calls = CounterMetricFamily("ftkit_model_calls", "Calls of the model.", labels=_OF)
        rows = CounterMetricFamily("ftkit_model_texts", "Texts in these calls.", labels=_OF)
        classes = CounterMetricFamily("ftkit_predicted", "Texts by predicted class.", labels=[*_OF, "class"])
        for child, server in self._deployments:
            of, totals = [self._endpoint, child.entry.name], child.counts.totals
            requests.add_metric(of, totals.requests)
            for kind, count in totals.errors.items():
                errors.add_metric([*of, kind], count)
            ends, below = [*map(str, BUCKETS), "+Inf"], 0
            buckets = [(end, below := below + count) for end, count in zip(ends, totals.buckets, strict=True)]
            seconds.add_metric(of, buckets, totals.seconds)
            flying.add_metric(of, child.in_flight)
            share.add_metric(of, child.entry.traffic)
            ready.add_metric(of, child.state == "ready")
            restarts.add_metric(of, child.restarts)
            about.add_metric(of, {"engine": child.engine, "bundle": child.entry.bundle_hash[:12], "state": child.state})
            if model := server.get("model"):
                waiting.add_metric(of, model["waiting"])
                calls.add_metric(of, model["calls"])
                rows.add_metric(of, model["rows"])
            for name, count in server.get("classes", {}).items():
                classes.add_metric([*of, name], count)
        yield from (requests, errors, seconds, flying, share, ready, restarts, about, waiting, calls, rows, classes)
