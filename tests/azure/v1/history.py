"""Run history: experiments, runs and their children, what runs log, and the files they leave."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.storage import CONTAINER, HOST, STORE, Blob, Storage, sas
from tests.azure.v1.regional import Regional
from tests.azure.workspace import ID, now


class Runs:
    """What is known of every run; shared by the services of this package."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, list[Any]]] = {}
        """Logged values by run and metric, in their order."""
        self.heard: list[Callable[[str], None]] = []
        """Called with a run's identifier whenever it has logged something."""
        self.lock = threading.RLock()

    def experiment(self, name: str) -> dict[str, Any]:
        """An experiment, which is there as soon as it is asked for."""
        with self.lock:
            made = {
                "experimentId": str(uuid.uuid4()),
                "name": name,
                "description": None,
                "createdUtc": now(),
                "tags": {},
            }
            return self.experiments.setdefault(name, {**made, "archivedTime": None})

    def begin(self, run: str, experiment: str, kind: str, parent: str = "", **further: Any) -> dict[str, Any]:
        """A new run."""
        with self.lock:
            root = self.runs[parent]["rootRunId"] if parent else run
            made = {
                "runId": run,
                "runUuid": str(uuid.uuid4()),
                "rootRunId": root,
                "parentRunId": parent or None,
                "runNumber": len(self.runs) + 1,
                "experimentId": self.experiment(experiment)["experimentId"],
                "createdUtc": now(),
                "startTimeUtc": now(),
                "status": "NotStarted",
                "runType": kind,
                "dataContainerId": f"dcid.{run}",
                "target": None,
                "properties": {},
                "tags": {},
                "hidden": False,
            }
            self.runs[run] = {**made, **further}
            return self.runs[run]

    def end(self, run: str, status: str, error: str = "") -> None:
        """A run has come to its end; one that ended already stays as it is."""
        with self.lock:
            found = self.runs[run]
            if found["status"] in ("Completed", "Failed", "Canceled"):
                return
            found |= {"status": status, "endTimeUtc": now()}
            if error:
                found["error"] = {"error": {"code": "UserError", "message": error}}

    def children(self, run: str) -> list[dict[str, Any]]:
        """Runs whose parent this is."""
        with self.lock:
            return [each for each in self.runs.values() if each["parentRunId"] == run]

    def keep(self, run: str, name: str, data: bytes) -> None:
        """Keep a file that a run has left."""
        self.storage.blobs[f"{_folder(run)}{name}"] = Blob(data)

    def files(self, run: str, prefix: str = "") -> list[str]:
        """Files that a run has left."""
        start = _folder(run)
        return [name[len(start) :] for name in sorted(self.storage.blobs) if name.startswith(start + prefix)]


class History(Regional):
    """Experiments and runs."""

    prefix = f"/history/v1.0{ID}"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.cancelled: Callable[[str], None] = lambda run: None

    @route("GET|POST", "/experiments/{name}")
    def experiment(self, request: Request, name: str) -> Response:
        return answer(self.runs.experiment(name))

    @route("POST", "/experiments/{name}/runs:query")
    def query(self, request: Request, name: str) -> Response:
        return answer({"value": self._listed(name), "continuationToken": None, "nextLink": None})

    @route("POST", "/experimentids/{experiment}/runs:query")
    def query_by_id(self, request: Request, experiment: str) -> Response:
        found = next(each["name"] for each in self.runs.experiments.values() if each["experimentId"] == experiment)
        return self.query(request, found)

    @route("GET", "/{kind}/{experiment}/runs/{run}")
    def run(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        return answer(self.runs.runs[run]) if run in self.runs.runs else _missing(run)

    @route("PATCH", "/{kind}/{experiment}/runs/{run}")
    def change(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        if run not in self.runs.runs:
            return _missing(run)
        with self.runs.lock:
            found = self.runs.runs[run]
            for name, value in (request.json or {}).items():
                if isinstance(value, dict) and isinstance(found.get(name), dict):
                    found[name] |= value
                elif value is not None:
                    found[name] = value
            return answer(found)

    @route("GET", "/{kind}/{experiment}/runs/{run}/children")
    def children(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        return answer({"value": self.runs.children(run)})

    @route("GET", "/{kind}/{experiment}/runs/{run}/details")
    def details(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        if run not in self.runs.runs:
            return _missing(run)
        found = self.runs.runs[run]
        shown = ("runId", "target", "status", "startTimeUtc", "endTimeUtc", "properties", "error")
        logs = {name: _address(run, name) for name in self.runs.files(run) if name.startswith(("logs/", "user_logs/"))}
        said = {name: found.get(name) for name in shown}
        return answer({**said, "logFiles": logs, "inputDatasets": [], "outputDatasets": []})

    @route("POST", "/{kind}/{experiment}/runs/{run}/events")
    def event(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        ends = {"Completed": "Completed", "Failed": "Failed", "Canceled": "Canceled"}
        if status := ends.get(request.json["name"].rpartition(".")[2]):
            self.runs.end(run, status)
        return Response(200)

    @route("GET", "/{kind}/{experiment}/runs/{run}/metricsingest/wait")
    def ingested(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        return Response(200)

    def _listed(self, name: str) -> list[dict[str, Any]]:
        experiment = self.runs.experiment(name)["experimentId"]
        found = [each for each in self.runs.runs.values() if each["experimentId"] == experiment]
        return sorted(found, key=lambda each: each["startTimeUtc"], reverse=True)


class Metrics(Regional):
    """What runs log."""

    prefix = f"/metric/v2.0{ID}"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    @route("POST", "/runs/{run}/{verb}")
    def ask(self, request: Request, run: str, verb: str) -> Response | None:
        if verb in ("batch", "batchsync"):
            return self._log(request, run)
        if verb == "list":
            listed = [
                {"metricKey": {"namespace": "", "name": name}, "columns": {name: "Double"}}
                for name in self.runs.metrics.get(run, {})
            ]
            return answer({"value": listed, "continuationToken": None})
        return self._full(run, request.json["metricName"]) if verb == "full" else None

    def _log(self, request: Request, run: str) -> Response:
        with self.runs.lock:
            kept = self.runs.metrics.setdefault(run, {})
            for metric in request.json["values"]:
                values = [next(iter(each["data"].values())) for each in metric["value"]]
                kept.setdefault(metric["name"], []).extend(values)
        for hear in self.runs.heard:
            hear(run)
        return answer({"errors": []})

    def _full(self, run: str, name: str) -> Response:
        values = self.runs.metrics.get(run, {}).get(name)
        if values is None:
            return refusal(404, "UserError", f"no metric {name}")
        rows = [
            {"metricId": str(uuid.uuid4()), "createdUtc": now(), "step": step, "data": {name: value}}
            for step, value in enumerate(values)
        ]
        return answer(
            {
                "dataContainerId": f"dcid.{run}",
                "name": name,
                "columns": {name: "Double"},
                "continuationToken": None,
                "value": rows,
                "properties": {"uxMetricType": "azureml.v1.scalar"},
            }
        )


class Artifacts(Regional):
    """The files that runs have left, with addresses to download them from."""

    prefix = f"/artifact/v2.0{ID}/artifacts"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    @route("GET", "/prefix/contentinfo/ExperimentRun/{container}/{prefix*}")
    def below(self, request: Request, container: str, prefix: str) -> Response:
        run = container.removeprefix("dcid.")
        found = [_content(run, name) for name in self.runs.files(run, prefix)]
        return answer({"value": found, "continuationToken": None})

    @route("GET", "/contentinfo/ExperimentRun/{container}/{name*}")
    def one(self, request: Request, container: str, name: str) -> Response:
        run = container.removeprefix("dcid.")
        return answer(_content(run, name)) if name in self.runs.files(run) else _missing(name)

    @route("GET", "/ExperimentRun/{container}")
    def listed(self, request: Request, container: str) -> Response:
        run = container.removeprefix("dcid.")
        found = [
            {
                "artifactId": f"ExperimentRun/{container}/{name}",
                "origin": "ExperimentRun",
                "container": container,
                "path": name,
            }
            for name in self.runs.files(run)
        ]
        return answer({"value": found, "continuationToken": None})


def _folder(run: str) -> str:
    return f"{STORE}/{CONTAINER}/ExperimentRun/dcid.{run}/"


def _address(run: str, name: str) -> str:
    return f"https://{HOST}/{CONTAINER}/ExperimentRun/dcid.{run}/{quote(name)}?{sas('r')}"


def _content(run: str, name: str) -> dict[str, Any]:
    return {"origin": "ExperimentRun", "container": f"dcid.{run}", "path": name, "contentUri": _address(run, name)}


def _missing(name: str) -> Response:
    return refusal(404, "UserError", f"{name} was not found")
