"""Run history: experiments, runs and their children, with the metrics and files of runs."""

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
    """The records, metrics and files of every run, which the services of this package share."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, list[Any]]] = {}
        """Logged values by run and metric, in their order."""
        self.listeners: list[Callable[[str], None]] = []
        """Called with a run's identifier whenever it has logged metrics."""
        self.lock = threading.RLock()

    def experiment(self, name: str) -> dict[str, Any]:
        """An experiment by its name; a new name creates one."""
        with self.lock:
            new = {
                "experimentId": str(uuid.uuid4()),
                "name": name,
                "description": None,
                "createdUtc": now(),
                "tags": {},
            }
            return self.experiments.setdefault(name, {**new, "archivedTime": None})

    def begin(self, run: str, experiment: str, kind: str, parent: str = "", **further: Any) -> dict[str, Any]:
        """Create the record of a new run."""
        with self.lock:
            root = self.runs[parent]["rootRunId"] if parent else run
            record = {
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
            self.runs[run] = {**record, **further}
            return self.runs[run]

    def end(self, run: str, status: str, error: str = "") -> None:
        """Set the final status of a run; a run that has already ended keeps its own."""
        with self.lock:
            record = self.runs[run]
            if record["status"] in ("Completed", "Failed", "Canceled"):
                return
            record |= {"status": status, "endTimeUtc": now()}
            if error:
                record["error"] = {"error": {"code": "UserError", "message": error}}

    def children(self, run: str) -> list[dict[str, Any]]:
        """The runs whose parent this is."""
        with self.lock:
            return [each for each in self.runs.values() if each["parentRunId"] == run]

    def keep(self, run: str, name: str, data: bytes) -> None:
        """Store a file of a run."""
        self.storage.blobs[f"{_folder(run)}{name}"] = Blob(data)

    def read(self, run: str, name: str) -> bytes:
        """A file of a run."""
        return self.storage.blobs[f"{_folder(run)}{name}"].data

    def files(self, run: str, prefix: str = "") -> list[str]:
        """The names of a run's files."""
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
        name = next(each["name"] for each in self.runs.experiments.values() if each["experimentId"] == experiment)
        return self.query(request, name)

    @route("GET", "/{kind}/{experiment}/runs/{run}")
    def run(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        return answer(self.runs.runs[run]) if run in self.runs.runs else _missing(run)

    @route("PATCH", "/{kind}/{experiment}/runs/{run}")
    def change(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        if run not in self.runs.runs:
            return _missing(run)
        with self.runs.lock:
            record = self.runs.runs[run]
            for name, value in (request.json or {}).items():
                if isinstance(value, dict) and isinstance(record.get(name), dict):
                    record[name] |= value
                elif value is not None:
                    record[name] = value
            return answer(record)

    @route("GET", "/{kind}/{experiment}/runs/{run}/children")
    def children(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        return answer({"value": self.runs.children(run)})

    @route("GET", "/{kind}/{experiment}/runs/{run}/details")
    def details(self, request: Request, kind: str, experiment: str, run: str) -> Response:
        if run not in self.runs.runs:
            return _missing(run)
        record = self.runs.runs[run]
        shown = ("runId", "target", "status", "startTimeUtc", "endTimeUtc", "properties", "error")
        logs = {name: _address(run, name) for name in self.runs.files(run) if name.startswith(("logs/", "user_logs/"))}
        fields = {name: record.get(name) for name in shown}
        return answer({**fields, "logFiles": logs, "inputDatasets": [], "outputDatasets": []})

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
        runs = [each for each in self.runs.runs.values() if each["experimentId"] == experiment]
        return sorted(runs, key=lambda each: each["startTimeUtc"], reverse=True)


class Metrics(Regional):
    """The metrics that runs log."""

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
            logged = self.runs.metrics.setdefault(run, {})
            for metric in request.json["values"]:
                values = [next(iter(each["data"].values())) for each in metric["value"]]
                logged.setdefault(metric["name"], []).extend(values)
        for listener in self.runs.listeners:
            listener(run)
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
    """The files of runs, with addresses to download them from."""

    prefix = f"/artifact/v2.0{ID}/artifacts"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    @route("GET", "/prefix/contentinfo/ExperimentRun/{container}/{prefix*}")
    def below(self, request: Request, container: str, prefix: str) -> Response:
        run = container.removeprefix("dcid.")
        contents = [_content(run, name) for name in self.runs.files(run, prefix)]
        return answer({"value": contents, "continuationToken": None})

    @route("GET", "/contentinfo/ExperimentRun/{container}/{name*}")
    def one(self, request: Request, container: str, name: str) -> Response:
        run = container.removeprefix("dcid.")
        return answer(_content(run, name)) if name in self.runs.files(run) else _missing(name)

    @route("GET", "/ExperimentRun/{container}")
    def listed(self, request: Request, container: str) -> Response:
        run = container.removeprefix("dcid.")
        artifacts = [
            {
                "artifactId": f"ExperimentRun/{container}/{name}",
                "origin": "ExperimentRun",
                "container": container,
                "path": name,
            }
            for name in self.runs.files(run)
        ]
        return answer({"value": artifacts, "continuationToken": None})


def _folder(run: str) -> str:
    return f"{STORE}/{CONTAINER}/ExperimentRun/dcid.{run}/"


def _address(run: str, name: str) -> str:
    return f"https://{HOST}/{CONTAINER}/ExperimentRun/dcid.{run}/{quote(name)}?{sas('r')}"


def _content(run: str, name: str) -> dict[str, Any]:
    return {"origin": "ExperimentRun", "container": f"dcid.{run}", "path": name, "contentUri": _address(run, name)}


def _missing(name: str) -> Response:
    return refusal(404, "UserError", f"{name} was not found")
