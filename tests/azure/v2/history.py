"""Run history and MLflow's interface for jobs and clients of the newer SDK, over the same runs as the older SDK's."""

from __future__ import annotations

from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v1.history import Runs
from tests.azure.v1.regional import Regional
from tests.azure.workspace import ID


class RunHistory(Regional):
    """Runs by their identifier alone."""

    prefix = f"/history/v1.0{ID}/runs"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    @route("GET", "/{run}")
    def run(self, request: Request, run: str) -> Response:
        return answer(self.runs.runs[run]) if run in self.runs.runs else _missing(run)

    @route("GET", "/{run}/children")
    def children(self, request: Request, run: str) -> Response:
        return answer({"value": self.runs.children(run)}) if run in self.runs.runs else _missing(run)

    @route("GET", "/{run}/details")
    def details(self, request: Request, run: str) -> Response:
        if run not in self.runs.runs:
            return _missing(run)
        record = self.runs.runs[run]
        return answer({name: record.get(name) for name in ("runId", "status", "properties", "error")})


class Tracking(Regional):
    """What runs log, by MLflow's interface. Source: MLflow, "REST API"."""

    prefix = f"/mlflow/v1.0{ID}/api/2.0/mlflow"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    @route("POST", "/runs/log-batch")
    def log(self, request: Request) -> Response:
        run = request.json["run_id"]
        if run not in self.runs.runs:
            return _missing(run)
        with self.runs.lock:
            logged = self.runs.metrics.setdefault(run, {})
            for metric in request.json["metrics"]:
                logged.setdefault(metric["key"], []).append(metric["value"])
        for listener in self.runs.listeners:
            listener(run)
        return answer({})

    @route("GET", "/runs/get")
    def get(self, request: Request) -> Response:
        run = request.query["run_id"]
        if run not in self.runs.runs:
            return _missing(run)
        with self.runs.lock:
            last = [_logged(name, len(each), each[-1]) for name, each in self.runs.metrics.get(run, {}).items()]
        return answer({"run": {"info": {"run_id": run}, "data": {"metrics": last, "params": [], "tags": []}}})

    @route("GET", "/metrics/get-history")
    def history(self, request: Request) -> Response:
        values = self.runs.metrics.get(request.query["run_id"], {}).get(request.query["metric_key"], [])
        name = request.query["metric_key"]
        return answer({"metrics": [_logged(name, step, value) for step, value in enumerate(values, 1)]})


def _logged(name: str, step: int, value: float) -> dict[str, Any]:
    return {"key": name, "value": value, "timestamp": 1_700_000_000_000 + step, "step": step}


def _missing(run: str) -> Response:
    return refusal(404, "UserError", f"no run {run}")
