"""The pipeline service: modules, graphs, runs of pipelines, and published ones."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v1.history import Runs
from tests.azure.v1.regional import Regional
from tests.azure.workspace import API, ID, now

CODES = {"Completed": "Finished", "NotStarted": "NotStarted"}
"""Statuses of runs in the pipeline service's own words, where these differ."""


@dataclass
class Node:
    """A step of a graph, as it was submitted."""

    id: str
    name: str
    module: dict[str, Any]
    parameters: dict[str, str]
    """Resolved, by name."""
    arguments: list[str]
    """The script's command line."""
    inputs: dict[str, Any]
    """What its inputs consume, by name."""
    after: list[str]
    """Nodes that must have ended before it begins."""
    run: str = ""


@dataclass
class Submitted:
    """A pipeline that was submitted."""

    id: str
    experiment: str
    nodes: list[Node]
    regenerate: bool
    creation: dict[str, Any] = field(repr=False, default_factory=dict)


class Pipelines(Regional):
    """Keeps what the SDK builds and tells how its runs do; `submitted` is called with what was submitted."""

    prefix = f"/pipelines/v1.0{ID}"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.modules: dict[str, dict[str, Any]] = {}
        self.graphs: dict[str, dict[str, Any]] = {}
        self.interfaces: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.submissions: list[Submitted] = []
        self.submitted: Callable[[Submitted], None] = lambda pipeline: None
        self.cancelled: Callable[[str], None] = lambda pipeline: None
        self._types: list[dict[str, Any]] = []
        self._lock = threading.RLock()

    # ------------------------------------------------------------------------------------------ building

    @route("GET", "/DataTypes")
    def types(self, request: Request) -> Response:
        return answer(self._types)

    @route("POST", "/DataTypes")
    def add_type(self, request: Request) -> Response:
        said = request.json
        made = _entity(
            Name=said["Name"],
            Description=said.get("Description"),
            IsDirectory=said.get("IsDirectory"),
            ParentDataTypeIds=said.get("ParentDataTypeIds") or [],
        )
        made["Id"] = said.get("Id") or said["Name"]
        self._types.append(made)
        return answer(made)

    @route("GET", "/Modules/Hash/{digest}")
    def module_by_hash(self, request: Request, digest: str) -> Response:
        found = [each for each in self.modules.values() if each["IdentifierHash"] == digest]
        return self.module(request, found[-1]["Id"]) if found else refusal(404, "UserError", "no such module")

    @route("POST", "/Modules")
    def add_module(self, request: Request) -> Response:
        made = _entity(**request.json, UploadState="Completed")
        self.modules[made["Id"]] = made
        return answer(made)

    @route("GET", "/Modules/{module}")
    def module(self, request: Request, module: str) -> Response:
        found = self.modules[module]
        said = found["StructuredInterface"]
        parameters = [
            {"Name": each["Name"], "DefaultValue": each.get("DefaultValue"), "Type": 2, "IsOptional": True}
            for each in said.get("Parameters") or []
        ]
        metadata = [
            {"Name": each["Name"], "DefaultValue": each.get("DefaultValue")}
            for each in said.get("MetadataParameters") or []
        ]
        inputs = [
            {"Name": each["Name"], "DataTypesIds": each.get("DataTypeIdsList")} for each in said.get("Inputs") or []
        ]
        outputs = [{"Name": each["Name"], "DataTypeId": each.get("DataTypeId")} for each in said.get("Outputs") or []]
        interface = {"Parameters": parameters, "MetadataParameters": metadata}
        return answer({"Data": found, "Interface": {**interface, "Ports": {"Inputs": inputs, "Outputs": outputs}}})

    # ---------------------------------------------------------------------------------------- submitting

    @route("POST", "/PipelineRuns/Unsubmitted/CreationInfoWithGraph")
    def create(self, request: Request) -> Response:
        said = request.json
        strange = [each["ModuleId"] for each in said["Graph"]["ModuleNodes"] if each["ModuleId"] not in self.modules]
        if strange:
            return refusal(400, "UserError", f"no module {strange[0]}")
        graph = str(uuid.uuid4())
        self.graphs[graph] = said["Graph"]
        self.interfaces[graph] = said.get("GraphInterface") or {}
        made = _entity(
            Description=said["CreationInfo"].get("Description"),
            Status={"StatusCode": "NotStarted", "StatusDetail": None, "CreationTime": now(), "EndTime": None},
            GraphId=graph,
            IsSubmitted=False,
            HasErrors=False,
            HasWarnings=False,
            UploadState="1",
            ParameterAssignments=said["CreationInfo"].get("ParameterAssignments"),
            RunHistoryExperimentName=request.query["experimentName"],
            RunSource="SDK",
            RunType="SDK",
            TotalRunSteps=len(said["Graph"]["ModuleNodes"]),
        )
        self.pipelines[made["Id"]] = {**made, "creation": said}
        return answer(made)

    @route("POST|PUT", "/PipelineRuns/Submit/{run}")
    def submit(self, request: Request, run: str) -> Response:
        with self._lock:
            found = self.pipelines[run]
            if found["IsSubmitted"]:
                return Response(200)
            found["IsSubmitted"] = True
            given = {**_defaults(self.interfaces[found["GraphId"]]), **(found["ParameterAssignments"] or {})}
            experiment = found["RunHistoryExperimentName"]
            properties = {"azureml.runsource": "azureml.PipelineRun", "runSource": "SDK", "runType": "SDK"}
            properties["azureml.parameters"] = json.dumps(given)
            self.runs.begin(run, experiment, "azureml.PipelineRun", properties=properties, status="Running")
            creation = found["creation"]["CreationInfo"]
            pipeline = Submitted(
                run,
                experiment,
                [self._node(each, given) for each in self.graphs[found["GraphId"]]["ModuleNodes"]],
                bool(creation.get("RegenerateOutputs")),
                found["creation"],
            )
            after = self._order(found["GraphId"])
            for node in pipeline.nodes:
                node.after = after.get(node.id, [])
                node.run = str(uuid.uuid4())
                kind = {"HyperDriveCloud": "HyperDriveStep"}.get(node.module["ModuleExecutionType"], "PythonScriptStep")
                self.runs.begin(
                    node.run,
                    experiment,
                    "azureml.StepRun",
                    run,
                    name=node.name,
                    properties={
                        "azureml.runsource": "azureml.StepRun",
                        "azureml.nodeid": node.id,
                        "azureml.pipelinerunid": run,
                        "azureml.moduleid": node.module["Id"],
                        "StepType": node.module.get("StepType") or kind,
                        "ContentSnapshotId": node.module.get("StorageId"),
                    },
                    tags={"azureml.nodeid": node.id, "azureml.pipeline": run},
                )
            self.submissions.append(pipeline)
        self.submitted(pipeline)
        return Response(200)

    def _node(self, said: dict[str, Any], given: dict[str, str]) -> Node:
        module = self.modules[said["ModuleId"]]
        listed = (said.get("ModuleParameters") or []) + (said.get("ModuleMetadataParameters") or [])
        parameters = {
            each["Name"]: given.get(each["Value"], "") if each["ValueType"] in ("1", 1) else each.get("Value") or ""
            for each in listed
        }
        arguments = []
        for each in module["StructuredInterface"].get("Arguments") or []:
            kind, value = each["ValueType"], each["Value"]
            arguments.append(
                parameters[value] if kind == "Parameter" else f"<{kind} {value}>" if kind != "Literal" else value
            )
        return Node(said["Id"], module["Name"], module, parameters, arguments, {}, [])

    def _order(self, graph: str) -> dict[str, list[str]]:
        """Which nodes each node waits for."""
        found: dict[str, list[str]] = {}
        for edge in self.graphs[graph].get("Edges") or []:
            source, target = edge["SourceOutputPort"].get("NodeId"), edge["DestinationInputPort"].get("NodeId")
            if source and target:
                found.setdefault(target, []).append(source)
        return found

    # ----------------------------------------------------------------------------------------- watching

    @route("GET", "/PipelineRuns/{run}")
    def pipeline(self, request: Request, run: str) -> Response:
        if run not in self.pipelines:
            return refusal(404, "UserError", f"no pipeline run {run}")
        found = {key: value for key, value in self.pipelines[run].items() if key != "creation"}
        if found["IsSubmitted"]:
            status = self.runs.runs[run]["status"]
            found["Status"] = {**found["Status"], "StatusCode": CODES.get(status, status)}
        return answer(found)

    @route("GET", "/Graphs/{graph}")
    def graph(self, request: Request, graph: str) -> Response:
        return answer({**_entity(**self.graphs[graph]), "Id": graph})

    @route("GET", "/Graphs/{graph}/Interface")
    def interface(self, request: Request, graph: str) -> Response:
        return answer(self.interfaces[graph])

    @route("POST", "/PipelineRuns/{run}/Graph/Node/StatusCode")
    def code_of_node(self, request: Request, run: str) -> Response:
        return answer(self._status(run, request.json[0])["StatusCode"])

    @route("POST", "/PipelineRuns/{run}/Graph/Node/Status")
    def status_of_node(self, request: Request, run: str) -> Response:
        return answer(self._status(run, request.json[0]))

    @route("GET", "/PipelineRuns/{run}/Graph/AllNodes/Status")
    def status_of_nodes(self, request: Request, run: str) -> Response:
        found = next(each for each in self.submissions if each.id == run)
        return answer({node.id: self._status(run, node.id) for node in found.nodes})

    @route("POST|PUT|DELETE", "/PipelineRuns/{run}/Cancel")
    def cancel(self, request: Request, run: str) -> Response:
        self.cancelled(run)
        return Response(200)

    @route("POST", "/Pipelines/Create")
    def publish(self, request: Request) -> Response:
        said = request.json
        graph = str(uuid.uuid4())
        self.graphs[graph] = said["Graph"]
        self.interfaces[graph] = said.get("GraphInterface") or {}
        made = _entity(
            Name=said.get("Name"),
            Description=said.get("Description"),
            Version=said.get("Version"),
            GraphId=graph,
            TotalRunSteps=len(said["Graph"]["ModuleNodes"]),
            ParameterAssignments=said.get("ParameterAssignments"),
            ContinueRunOnStepFailure=said.get("ContinueRunOnStepFailure"),
        )
        made["Url"] = f"https://{API}{self.prefix}/PipelineRuns/PipelineSubmit/{made['Id']}"
        self.published.append(made)
        return answer(made)

    def _status(self, run: str, node: str) -> dict[str, Any]:
        submitted = next(each for each in self.submissions if each.id == run)
        step = self.runs.runs[next(each.run for each in submitted.nodes if each.id == node)]
        times = {"CreationTime": now(), "StartTime": now(), "EndTime": now()}
        return {"StatusCode": CODES.get(step["status"], step["status"]), "RunId": step["runId"], **times}


def _defaults(interface: dict[str, Any]) -> dict[str, str]:
    listed = interface.get("Parameters") or []
    return {each["Name"]: each.get("DefaultValue") or "" for each in listed}


def _entity(**said: Any) -> dict[str, Any]:
    made = {
        "Id": str(uuid.uuid4()),
        "Etag": '"1"',
        "CreatedDate": now(),
        "LastModifiedDate": now(),
        "EntityStatus": "0",
    }
    return {**made, **said}
