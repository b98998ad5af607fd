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
from tests.azure.v1.sources import DataSources, entity_of
from tests.azure.workspace import API, ID, now

CODES = {"Completed": "Finished", "NotStarted": "NotStarted"}
"""The pipeline service's status codes for statuses of runs, where they differ."""


@dataclass
class Node:
    """A step of a submitted graph."""

    id: str
    name: str
    module: dict[str, Any]
    parameters: dict[str, str]
    """Values by name, with the pipeline's parameters filled in."""
    arguments: list[str]
    """The script's command line."""
    inputs: dict[str, str]
    """Folders of the datastore that are mounted for it, by the names of its inputs."""
    after: list[str]
    """Nodes that must end before it starts."""
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
    """Stores modules, graphs and pipelines, and reports the status of runs; `submitted` is called for each pipeline."""

    prefix = f"/pipelines/v1.0{ID}"

    def __init__(self, runs: Runs, sources: DataSources) -> None:
        self.runs = runs
        self.sources = sources
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
        body = request.json
        data_type = entity_of(
            Name=body["Name"],
            Description=body.get("Description"),
            IsDirectory=body.get("IsDirectory"),
            ParentDataTypeIds=body.get("ParentDataTypeIds") or [],
        )
        data_type["Id"] = body.get("Id") or body["Name"]
        self._types.append(data_type)
        return answer(data_type)

    @route("GET", "/Modules/Hash/{digest}")
    def module_by_hash(self, request: Request, digest: str) -> Response:
        matches = [each for each in self.modules.values() if each["IdentifierHash"] == digest]
        return self.module(request, matches[-1]["Id"]) if matches else refusal(404, "UserError", "no such module")

    @route("POST", "/Modules")
    def add_module(self, request: Request) -> Response:
        entity = entity_of(**request.json, UploadState="Completed")
        self.modules[entity["Id"]] = entity
        return answer(entity)

    @route("GET", "/Modules/{module}")
    def module(self, request: Request, module: str) -> Response:
        entity = self.modules[module]
        declared = entity["StructuredInterface"]
        parameters = [
            {"Name": each["Name"], "DefaultValue": each.get("DefaultValue"), "Type": 2, "IsOptional": True}
            for each in declared.get("Parameters") or []
        ]
        metadata = [
            {"Name": each["Name"], "DefaultValue": each.get("DefaultValue")}
            for each in declared.get("MetadataParameters") or []
        ]
        inputs = [
            {"Name": each["Name"], "DataTypesIds": each.get("DataTypeIdsList")} for each in declared.get("Inputs") or []
        ]
        outputs = [
            {"Name": each["Name"], "DataTypeId": each.get("DataTypeId")} for each in declared.get("Outputs") or []
        ]
        interface = {"Parameters": parameters, "MetadataParameters": metadata}
        return answer({"Data": entity, "Interface": {**interface, "Ports": {"Inputs": inputs, "Outputs": outputs}}})

    # ---------------------------------------------------------------------------------------- submitting

    @route("POST", "/PipelineRuns/Unsubmitted/CreationInfoWithGraph")
    def create(self, request: Request) -> Response:
        body = request.json
        unknown = [each["ModuleId"] for each in body["Graph"]["ModuleNodes"] if each["ModuleId"] not in self.modules]
        if unknown:
            return refusal(400, "UserError", f"no module {unknown[0]}")
        graph = str(uuid.uuid4())
        self.graphs[graph] = body["Graph"]
        self.interfaces[graph] = body.get("GraphInterface") or {}
        entity = entity_of(
            Description=body["CreationInfo"].get("Description"),
            Status={"StatusCode": "NotStarted", "StatusDetail": None, "CreationTime": now(), "EndTime": None},
            GraphId=graph,
            IsSubmitted=False,
            HasErrors=False,
            HasWarnings=False,
            UploadState="1",
            ParameterAssignments=body["CreationInfo"].get("ParameterAssignments"),
            RunHistoryExperimentName=request.query["experimentName"],
            RunSource="SDK",
            RunType="SDK",
            TotalRunSteps=len(body["Graph"]["ModuleNodes"]),
        )
        self.pipelines[entity["Id"]] = {**entity, "creation": body}
        return answer(entity)

    @route("POST|PUT", "/PipelineRuns/Submit/{run}")
    def submit(self, request: Request, run: str) -> Response:
        with self._lock:
            entity = self.pipelines[run]
            if entity["IsSubmitted"]:
                return Response(200)
            entity["IsSubmitted"] = True
            assignments = {**_defaults(self.interfaces[entity["GraphId"]]), **(entity["ParameterAssignments"] or {})}
            experiment = entity["RunHistoryExperimentName"]
            properties = {"azureml.runsource": "azureml.PipelineRun", "runSource": "SDK", "runType": "SDK"}
            properties["azureml.parameters"] = json.dumps(assignments)
            self.runs.begin(run, experiment, "azureml.PipelineRun", properties=properties, status="Running")
            creation = entity["creation"]["CreationInfo"]
            pipeline = Submitted(
                run,
                experiment,
                [self._node(each, assignments) for each in self.graphs[entity["GraphId"]]["ModuleNodes"]],
                bool(creation.get("RegenerateOutputs")),
                entity["creation"],
            )
            after = self._order(entity["GraphId"])
            mounts = self.sources.mounts(self.graphs[entity["GraphId"]])
            for node in pipeline.nodes:
                node.after = after.get(node.id, [])
                node.inputs = mounts.get(node.id, {})
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

    def _node(self, submitted: dict[str, Any], assignments: dict[str, str]) -> Node:
        module = self.modules[submitted["ModuleId"]]
        listed = (submitted.get("ModuleParameters") or []) + (submitted.get("ModuleMetadataParameters") or [])
        parameters = {
            each["Name"]: assignments.get(each["Value"], "")
            if each["ValueType"] in ("1", 1)
            else each.get("Value") or ""
            for each in listed
        }
        arguments = []
        for each in module["StructuredInterface"].get("Arguments") or []:
            kind, value = each["ValueType"], each["Value"]
            arguments.append(
                parameters[value] if kind == "Parameter" else f"<{kind} {value}>" if kind != "Literal" else value
            )
        return Node(submitted["Id"], module["Name"], module, parameters, arguments, {}, [])

    def _order(self, graph: str) -> dict[str, list[str]]:
        """Which nodes each node waits for."""
        sources: dict[str, list[str]] = {}
        for edge in self.graphs[graph].get("Edges") or []:
            source, target = edge["SourceOutputPort"].get("NodeId"), edge["DestinationInputPort"].get("NodeId")
            if source and target:
                sources.setdefault(target, []).append(source)
        return sources

    # ----------------------------------------------------------------------------------------- watching

    @route("GET", "/PipelineRuns/{run}")
    def pipeline(self, request: Request, run: str) -> Response:
        if run not in self.pipelines:
            return refusal(404, "UserError", f"no pipeline run {run}")
        entity = {key: value for key, value in self.pipelines[run].items() if key != "creation"}
        if entity["IsSubmitted"]:
            status = self.runs.runs[run]["status"]
            entity["Status"] = {**entity["Status"], "StatusCode": CODES.get(status, status)}
        return answer(entity)

    @route("GET", "/Graphs/{graph}")
    def graph(self, request: Request, graph: str) -> Response:
        return answer({**entity_of(**self.graphs[graph]), "Id": graph})

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
        pipeline = next(each for each in self.submissions if each.id == run)
        return answer({node.id: self._status(run, node.id) for node in pipeline.nodes})

    @route("POST|PUT|DELETE", "/PipelineRuns/{run}/Cancel")
    def cancel(self, request: Request, run: str) -> Response:
        self.cancelled(run)
        return Response(200)

    @route("POST", "/Pipelines/Create")
    def publish(self, request: Request) -> Response:
        body = request.json
        graph = str(uuid.uuid4())
        self.graphs[graph] = body["Graph"]
        self.interfaces[graph] = body.get("GraphInterface") or {}
        entity = entity_of(
            Name=body.get("Name"),
            Description=body.get("Description"),
            Version=body.get("Version"),
            GraphId=graph,
            TotalRunSteps=len(body["Graph"]["ModuleNodes"]),
            ParameterAssignments=body.get("ParameterAssignments"),
            ContinueRunOnStepFailure=body.get("ContinueRunOnStepFailure"),
        )
        entity["Url"] = f"https://{API}{self.prefix}/PipelineRuns/PipelineSubmit/{entity['Id']}"
        self.published.append(entity)
        return answer(entity)

    def _status(self, run: str, node: str) -> dict[str, Any]:
        submitted = next(each for each in self.submissions if each.id == run)
        step = self.runs.runs[next(each.run for each in submitted.nodes if each.id == node)]
        times = {"CreationTime": now(), "StartTime": now(), "EndTime": now()}
        return {"StatusCode": CODES.get(step["status"], step["status"]), "RunId": step["runId"], **times}


def _defaults(interface: dict[str, Any]) -> dict[str, str]:
    listed = interface.get("Parameters") or []
    return {each["Name"]: each.get("DefaultValue") or "" for each in listed}
