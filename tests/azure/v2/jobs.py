"""Pipeline jobs with sweeps: each step is a process and starts after the steps whose outputs it uses.

Processes, logs, metrics and files are those of the older SDK's service.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.storage import CONTAINER, STORE, Blob
from tests.azure.v1.execution import Execution
from tests.azure.v1.proposals import proposals
from tests.azure.v2.assets import Assets
from tests.azure.workspace import ID, Managed, Workspace, resource

_STEP_OUTPUT = re.compile(r"\$\{\{parent\.jobs\.(\w+)\.outputs\.(\w+)\}\}")


class Jobs(Managed):
    """Jobs by their names; `submitted` has the properties of each, in order."""

    prefix = f"{ID}/jobs"

    def __init__(self, assets: Assets, workspace: Workspace, execution: Execution) -> None:
        self.assets = assets
        self.workspace = workspace
        self.execution = execution
        self.runs = execution.runs
        self.submitted: dict[str, dict[str, Any]] = {}
        self.commands: dict[str, str] = {}
        """Command line by run."""
        self._steps: dict[tuple[str, str], str] = {}
        """The run of each step by its job and name."""
        self._done: dict[str, str] = {}
        """The run of each deterministic step by its command, code, inputs, limits and search space."""
        self._closing = False

    @route("GET", "/{name}")
    def get(self, request: Request, name: str) -> Response:
        if name not in self.submitted:
            return refusal(404, "UserError", f"Not found job {name}.")
        return answer(self._described(name))

    @route("PUT", "/{name}")
    def put(self, request: Request, name: str) -> Response:
        properties = {key: value for key, value in request.json["properties"].items() if value is not None}
        if name in self.submitted:
            return refusal(
                400,
                "UserError",
                "A job with this name already exists. If you are trying to create a new job, use a different name.",
            )
        for node in properties["jobs"].values():
            reference = node["trial"]["componentId"] if node["type"] == "sweep" else node["componentId"]
            cluster = node.get("computeId", properties["settings"]["default_compute"]).rpartition("/")[2]
            if self.assets.find(reference) is None or cluster not in self.workspace.clusters:
                return refusal(400, "UserError", f"Not found: {reference} or {cluster}.")
        self.submitted[name] = properties
        self.runs.begin(
            name,
            properties["experimentName"],
            "azureml.PipelineRun",
            displayName=properties["displayName"],
            tags=properties["tags"],
            status="Running",
        )
        threading.Thread(target=self._carry_out, args=(name, properties), daemon=True).start()
        return answer(self._described(name), 201)

    def close(self) -> None:
        """Start no further step."""
        self._closing = True

    def step(self, name: str, job: str = "") -> str:
        """The run of a step, of the latest job unless another is named."""
        return self._steps[job or list(self.submitted)[-1], name]

    def _described(self, name: str) -> dict[str, Any]:
        studio = {"jobServiceType": "Studio", "endpoint": f"https://ml.azure.com/runs/{name}?wsid={ID}"}
        return {
            **resource("jobs", name),
            "properties": {
                **self.submitted[name],
                "status": self.runs.runs[name]["status"],
                "services": {"Studio": studio},
            },
        }

    # -------------------------------------------------------------------------------------- a pipeline

    def _carry_out(self, job: str, properties: dict[str, Any]) -> None:
        """Run the steps, each after those whose outputs it uses; when one fails, the others do not start."""
        status = "Completed"
        try:
            waiting = dict(properties["jobs"])
            for name in waiting:
                run = self._steps[job, name] = str(uuid.uuid4())
                self.runs.begin(run, properties["experimentName"], "azureml.StepRun", job, displayName=name)
            while waiting and status == "Completed" and not self._closing:
                name = next(each for each, node in waiting.items() if not _predecessors(node) & set(waiting))
                node, run = waiting.pop(name), self._steps[job, name]
                if event := self.execution.before.get(name):
                    event.wait()
                if not self._closing:
                    self._step(job, name, node, run)
                    status = self.runs.runs[run]["status"]
        except Exception as error:
            if not self._closing:
                self.execution.cloud.complain(f"the pipeline could not be carried out: {error!r}")
            status = "Failed"
        self.runs.end(job, status)

    def _step(self, job: str, name: str, node: dict[str, Any], run: str) -> None:
        record = self.runs.runs[run]
        record["status"] = "Running"
        properties = self.submitted[job]
        component = self._component(node["trial"]["componentId"] if node["type"] == "sweep" else node["componentId"])
        fingerprint = json.dumps(
            [
                component["command"],
                component.get("distribution"),
                self._code(component),
                node.get("search_space"),
                node.get("limits"),
                node.get("inputs"),
            ]
        )
        if name in self.execution.failing:
            self.runs.end(run, "Failed", self.execution.failing[name])
        elif (
            component["is_deterministic"]
            and not properties["settings"].get("force_rerun")
            and fingerprint in self._done
        ):
            record["properties"] |= {"azureml.isreused": "true", "azureml.reusedrunid": self._done[fingerprint]}
            self._copy_outputs(job, name, self._done[fingerprint])
            self.runs.end(run, "Completed")
        elif node["type"] == "sweep":
            self._sweep(job, name, node, run, component)
        else:
            self._start(job, node, run, component, {})
            self._copy_outputs(job, name, run)
        if component["is_deterministic"] and record["status"] == "Completed":
            self._done.setdefault(fingerprint, run)

    # -------------------------------------------------------------------------------------- a sweep

    def _sweep(self, job: str, name: str, node: dict[str, Any], run: str, component: dict[str, Any]) -> None:
        limits, objective = node["limits"], node["objective"]
        kinds = {"random": "RANDOM", "grid": "GRID", "bayesian": "BayesianOptimization"}
        generator = {
            "name": kinds[node["sampling_algorithm"]],
            "parameter_space": {key: _expression(each) for key, each in node["search_space"].items()},
        }
        policy = dict(node.get("early_termination") or {"policy_type": "Default"})
        if "slack_amount" not in policy:
            policy.setdefault("slack_factor", 0)  # the SDK sends no zeros, which are the schema's defaults
        configuration = {
            "primary_metric_config": {"name": objective["primary_metric"], "goal": objective["goal"]},
            "policy_config": {
                "name": policy.pop("policy_type"),
                "properties": {**policy, "evaluation_interval": policy.get("evaluation_interval") or 1},
            },
        }
        self.runs.runs[run]["runType"] = "hyperdrive"
        self.execution.searches[run] = configuration
        numbered_values = enumerate(
            itertools.islice(proposals(generator, limits["max_total_trials"]), limits["max_total_trials"])
        )
        with ThreadPoolExecutor(limits["max_concurrent_trials"]) as pool:
            trials = [pool.submit(self._trial, job, node, run, component, *each) for each in numbered_values]
        for each in trials:
            each.result()
        children = self.runs.children(run)
        finished = [each["runId"] for each in children if each["status"] == "Completed"]
        curves = {each: self.runs.metrics.get(each, {}).get(objective["primary_metric"], []) for each in finished}
        scored_runs = [each for each in finished if curves[each]]
        if scored_runs:
            sign = 1 if objective["goal"] == "maximize" else -1
            self._copy_outputs(
                job, name, max(scored_runs, key=lambda each: max(sign * value for value in curves[each]))
            )
        self.runs.end(run, "Completed" if finished else "Failed", "" if finished else "All child runs failed.")

    def _trial(
        self, job: str, node: dict[str, Any], sweep: str, component: dict[str, Any], number: int, values: dict[str, Any]
    ) -> None:
        run = f"{sweep}_{number}"
        with self.runs.lock:
            self.runs.runs[sweep]["tags"] |= {run: json.dumps(values)}
            self.runs.begin(run, self.submitted[job]["experimentName"], "azureml.scriptrun", sweep, status="Running")
        if number in self.execution.mute:
            self.runs.end(run, "Completed")
        else:
            self._start(job, node, run, component, values)

    # -------------------------------------------------------------------------------------- a process

    def _start(
        self, job: str, node: dict[str, Any], run: str, component: dict[str, Any], values: Mapping[str, Any]
    ) -> None:
        """Run a component's command with its inputs filled in, on the code that was uploaded."""
        folder = self.execution.cloud.folder / "nodes" / run
        code = self.assets.find(component["code"].removeprefix("azureml:"))
        assert code is not None
        _write(folder, self.assets.files(code["properties"]["codeUri"])[1])
        inputs = {
            key: self._input_value(
                job, source["value"] if "value" in source else source["uri"], folder / "inputs" / key
            )
            for key, source in (node.get("inputs") or {}).items()
        }
        command = _filled(
            component["command"],
            {**inputs, **values},
            {key: str(self._output_folder(node, key) or folder / "named" / key) for key in component["outputs"]},
        )
        self.commands[run] = command
        path = f"PATH={Path(sys.executable).parent}{os.pathsep}$PATH"
        distribution = component.get("distribution") or {}
        self.execution.carry_out(
            run,
            self.submitted[job]["experimentName"],
            folder,
            ["bash", "-c", f"{path}; {command}"],
            distribution["process_count_per_instance"] if distribution.get("type") == "pytorch" else 1,
        )
        for output in component["outputs"]:
            below = folder / "named" / output
            self._keep(
                run,
                output,
                {str(path.relative_to(below)): path.read_bytes() for path in below.rglob("*") if path.is_file()},
            )

    def _output_folder(self, node: dict[str, Any], output: str) -> Path | None:
        """The mounted folder of the datastore that an output of a step names; None where the service chooses one."""
        settings = (node.get("outputs") or {}).get(output) or {}
        place = re.fullmatch(r"azureml://datastores/workspaceblobstore/paths/(.+)", settings.get("uri") or "")
        return self.execution.datastore / place[1] if place and settings["mode"] == "ReadWriteMount" else None

    def _input_value(self, job: str, value: str, folder: Path) -> str:
        """The value of an input in a command: a text, or the path of an earlier step's output or of a data asset."""
        if value.startswith("${{parent.inputs."):
            return str(self.submitted[job]["inputs"][value[17:-2]]["value"])
        if earlier := _STEP_OUTPUT.fullmatch(value):
            folder.mkdir(parents=True)
            _write(folder, self.runs.storage.below(f"{STORE}/{CONTAINER}/azureml/{job}/{earlier[1]}/{earlier[2]}"))
            return str(folder)
        data = self.assets.find(value.removeprefix("azureml:"))
        if data is None:
            return value
        name, files = self.assets.files(data["properties"]["dataUri"])
        _write(folder, files)
        return str(folder / name) if data["properties"]["dataType"] == "uri_file" else str(folder)

    def _keep(self, run: str, output: str, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self.runs.storage.blobs[f"{STORE}/{CONTAINER}/azureml/{run}/{output}/{name}"] = Blob(data)

    def _copy_outputs(self, job: str, name: str, run: str) -> None:
        """Copy a run's outputs to those of a step."""
        storage = self.runs.storage
        for place, data in storage.below(f"{STORE}/{CONTAINER}/azureml/{run}").items():
            storage.blobs[f"{STORE}/{CONTAINER}/azureml/{job}/{name}/{place}"] = Blob(data)

    def _component(self, reference: str) -> dict[str, Any]:
        asset = self.assets.find(reference)
        assert asset is not None
        component: dict[str, Any] = asset["properties"]["componentSpec"]
        return component

    def _code(self, component: dict[str, Any]) -> list[str]:
        """Name and hash of every file of a component's code."""
        code = self.assets.find(component["code"].removeprefix("azureml:"))
        assert code is not None
        files = self.assets.files(code["properties"]["codeUri"])[1]
        return sorted(f"{name} {hash(data)}" for name, data in files.items())


def _predecessors(node: Mapping[str, Any]) -> set[str]:
    """The steps whose outputs a step uses."""
    return {
        earlier
        for each in (node.get("inputs") or {}).values()
        for earlier, _ in _STEP_OUTPUT.findall(str(each.get("value")))
    }


def _expression(distribution: Mapping[str, Any]) -> list[Any]:
    """A distribution as the older service writes it."""
    if distribution["type"] == "choice":
        return ["choice", [distribution["values"]]]
    return [distribution["type"], [distribution[key] for key in ("min_value", "max_value", "q") if key in distribution]]


def _filled(command: str, inputs: Mapping[str, Any], outputs: Mapping[str, str]) -> str:
    """A component's command with its expressions replaced; an optional part whose input is missing is left out."""

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(name in inputs for name in re.findall(r"\$\{\{inputs\.(\w+)\}\}", part[1])) else ""

    command = re.sub(r"\$\[\[(.*?)\]\]", optional, command)
    command = re.sub(r"\$\{\{inputs\.(\w+)\}\}", lambda expression: str(inputs[expression[1]]), command)
    return re.sub(r"\$\{\{outputs\.(\w+)\}\}", lambda expression: outputs[expression[1]], command)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
