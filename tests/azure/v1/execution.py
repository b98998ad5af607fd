"""Carries out pipelines: each step, and each trial of HyperDrive, is a process in the unpacked snapshot.

This Python environment takes the place of the image. What a script puts first on its path comes first, as on Azure.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.azure.cloud import Cloud
from tests.azure.identity import ENVIRONMENT, token
from tests.azure.v1.datasets import Datasets
from tests.azure.v1.history import Runs
from tests.azure.v1.pipelines import Node, Pipelines, Submitted
from tests.azure.v1.proposals import proposals, stops
from tests.azure.v1.snapshots import Snapshots
from tests.azure.workspace import API, GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID, now

LOG = "user_logs/std_log.txt"
RANK_LOG = "user_logs/std_log_process_{RANK}.txt"
"""The log of each process, where a run has several."""
STREAMED = ("logs", "user_logs")
"""Folders whose files can be read while the run is running."""


class Execution:
    """The clusters of the loopback."""

    def __init__(
        self, cloud: Cloud, runs: Runs, snapshots: Snapshots, pipelines: Pipelines, datasets: Datasets
    ) -> None:
        self.cloud = cloud
        self.runs = runs
        self.snapshots = snapshots
        self.datasets = datasets
        self.failing: dict[str, str] = {}
        """Steps that end as Failed without a process, and the service's message for each."""
        self.mute: set[int] = set()
        """Numbers of trials that end as Completed without a process."""
        self.before: dict[str, threading.Event] = {}
        """Events that steps wait for before they start, by the step's name."""
        self.datastore = cloud.folder / "datastore"
        """What processes have mounted of the workspace's datastore; it outlives every machine."""
        self.taken_away: dict[int, list[tuple[int, signal.Signals]]] = {}
        """When machines of trials are taken away, by the trial's number: after so many evaluations, by this signal."""
        self.exit_codes: dict[str, list[int]] = {}
        """How each process of a run ended, those of one start by their ranks."""
        self.command_lines: dict[str, list[str]] = {}
        """Script and arguments by run."""
        self.variables: dict[str, str] = {}
        """Environment variables of every process, as an image would set them."""
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        """What runs of each run, by rank."""
        self._cancelled: set[str] = set()
        self._requeued: set[str] = set()
        self._pipelines = pipelines
        self._closing = False
        pipelines.submitted = self._begin
        pipelines.cancelled = self._cancel
        runs.listeners += [self._apply_policy, self._take_away]
        self.searches: dict[str, dict[str, Any]] = {}
        """HyperDrive's configuration by the run of its search."""

    def close(self) -> None:
        """End every process."""
        self._closing = True
        for event in self.before.values():
            event.set()
        for run in list(self._processes):
            self._kill(run)

    # -------------------------------------------------------------------------------------- a pipeline

    def _begin(self, pipeline: Submitted) -> None:
        threading.Thread(target=self._carry_out, args=(pipeline,), daemon=True).start()

    def _carry_out(self, pipeline: Submitted) -> None:
        """Run the steps, each after those it waits for; when one fails, the others do not start."""
        waiting = list(pipeline.nodes)
        status = "Completed"
        try:
            while waiting and status == "Completed" and not self._closing:
                ids = {node.id for node in waiting}
                node = next(each for each in waiting if not ids & set(each.after))
                waiting.remove(node)
                if event := self.before.get(node.name):
                    event.wait()
                if pipeline.id in self._cancelled:
                    self.runs.end(node.run, "Canceled")
                else:
                    self._step(pipeline, node)
                status = self.runs.runs[node.run]["status"]
        except Exception as error:
            if not self._closing:
                self.cloud.complain(f"the pipeline could not be carried out: {error!r}")
            status = "Failed"
        self.runs.end(pipeline.id, status)

    def _step(self, pipeline: Submitted, node: Node) -> None:
        self.runs.runs[node.run]["status"] = "Running"
        if node.name in self.failing:
            self.runs.end(node.run, "Failed", self.failing[node.name])
        elif reused := self._reused_run(pipeline, node):
            self.runs.runs[node.run]["properties"] |= {"azureml.isreused": "true", "azureml.reusedrunid": reused}
            self.runs.end(node.run, "Completed")
        elif "HyperDriveRunConfig" in node.parameters:
            self._search(pipeline, node)
        else:
            script = node.parameters["Script"]
            self._process(node.run, pipeline.experiment, node.module["StorageId"], script, self._arguments(node))

    def _reused_run(self, pipeline: Submitted, node: Node) -> str:
        """The run of an earlier pipeline whose result this step reuses; empty without one."""
        if pipeline.regenerate or not node.module.get("IsDeterministic"):
            return ""
        for other in self._pipelines.submissions:
            for each in other.nodes:
                same = (each.module["Id"], each.arguments) == (node.module["Id"], node.arguments)
                if other is not pipeline and same and self.runs.runs[each.run]["status"] == "Completed":
                    return str(self.runs.runs[each.run]["properties"].get("azureml.reusedrunid") or each.run)
        return ""

    def _cancel(self, pipeline: str) -> None:
        self._cancelled.add(pipeline)
        for run in list(self._processes):
            if self.runs.runs[run]["rootRunId"] == pipeline:
                self.runs.end(run, "Canceled")
                self._kill(run)

    # -------------------------------------------------------------------------------------- HyperDrive

    def _search(self, pipeline: Submitted, node: Node) -> None:
        configuration = json.loads(node.parameters["HyperDriveRunConfig"])
        search = f"HD_{uuid.uuid4()}"
        reported = ("generator_config", "primary_metric_config", "policy_config", "platform_config")
        tags = {f"_aml_system_{key}": json.dumps(configuration[key]) for key in reported}
        counts = ("max_total_jobs", "max_concurrent_jobs", "max_duration_minutes")
        tags |= {f"_aml_system_{key}": str(configuration[key]) for key in counts}
        properties = {"azureml.runsource": "hyperdrive", "platform": "AML", "runTemplate": "HyperDrive"}
        properties["primary_metric_config"] = json.dumps(configuration["primary_metric_config"])
        further = {"tags": tags, "properties": properties, "status": "Running", "name": node.run}
        self.runs.begin(search, pipeline.experiment, "hyperdrive", node.run, **further)
        self.searches[search] = configuration
        proposed = proposals(configuration["generator_config"], configuration["max_total_jobs"])
        with ThreadPoolExecutor(configuration["max_concurrent_jobs"]) as pool:
            trials = [pool.submit(self._trial, pipeline, node, search, *each) for each in enumerate(proposed)]
        for each in trials:
            each.result()
        ended = {each["status"] for each in self.runs.children(search)}
        status = "Completed" if ended - {"Failed"} else "Failed"
        self.runs.end(search, status, "" if status == "Completed" else "All child runs failed.")
        self.runs.end(node.run, status)

    def _trial(self, pipeline: Submitted, node: Node, search: str, number: int, values: Mapping[str, Any]) -> None:
        run = f"{search}_{number}"
        with self.runs.lock:
            self.runs.runs[search]["tags"] |= {run: json.dumps(values)}
            further = {"properties": {"azureml.runsource": "azureml.scriptrun"}, "status": "Running"}
            self.runs.begin(run, pipeline.experiment, "azureml.scriptrun", search, **further)
        if number in self.mute:
            self.runs.end(run, "Completed")
            return
        definition = self.searches[search]["platform_config"]["Definition"]
        trial_arguments = [part for name, value in values.items() for part in (name, str(value))]
        arguments = [*self._arguments(node), *trial_arguments]
        overrides = definition["Overrides"]
        together = overrides["pytorch"]["processCount"] if overrides["framework"] == "PyTorch" else 1
        self._process(run, pipeline.experiment, definition["SnapshotId"], overrides["script"], arguments, together)

    def _apply_policy(self, run: str) -> None:
        """Cancel a trial that has logged a metric, if the policy says so."""
        search = self.runs.runs.get(run, {}).get("parentRunId")
        if search not in self.searches or run not in self._processes:
            return
        configuration = self.searches[search]
        metric = configuration["primary_metric_config"]
        children = [each["runId"] for each in self.runs.children(search)]
        curves = {each: self.runs.metrics.get(each, {}).get(metric["name"], []) for each in children}
        if curves.get(run) and stops(configuration["policy_config"], metric["goal"] == "maximize", curves, run):
            self.runs.end(run, "Canceled")
            self._kill(run)

    def _take_away(self, run: str) -> None:
        """End the process of a trial that has logged its metrics so often as a test asks for, and let it be requeued."""
        search, _, number = run.rpartition("_")
        if search not in self.searches or run not in self._processes or not self.taken_away.get(int(number)):
            return
        evaluations, by = self.taken_away[int(number)][0]
        if len(self.runs.metrics[run].get(self.searches[search]["primary_metric_config"]["name"], [])) >= evaluations:
            del self.taken_away[int(number)][0]
            self._requeued.add(run)
            self._signal(run, by)

    # -------------------------------------------------------------------------------------- a process

    def _arguments(self, node: Node) -> list[str]:
        """The command line of a step, with the paths of what is mounted for it."""
        mounts = {f"<Input {name}>": str(self.datastore / folder) for name, folder in node.inputs.items()}
        return self.datasets.mounted([mounts.get(each, each) for each in node.arguments], self.cloud.folder)

    def _process(
        self, run: str, experiment: str, snapshot: str, script: str, arguments: Sequence[str], processes: int = 1
    ) -> None:
        """Run a script in its unpacked snapshot and store the files that it writes."""
        folder = self.cloud.folder / "nodes" / run
        self.snapshots.unpack(snapshot, folder)
        self.command_lines[run] = [script, *arguments]
        self.carry_out(run, experiment, folder, [sys.executable, script, *arguments], processes)

    def carry_out(self, run: str, experiment: str, folder: Path, command: Sequence[str], processes: int = 1) -> None:
        """Run a command in a folder, wait for its end and store the files that it writes; on a new machine once more if requeued.

        `processes` are so many of the same command, as torch's own launcher would start them on one machine.
        """
        self.runs.runs[run]["status"] = "Running"
        code = self._wait(run, experiment, folder, command, processes)
        while run in self._requeued:
            self._requeued.discard(run)
            for name in ("outputs", *STREAMED):
                shutil.rmtree(folder / name, ignore_errors=True)
            code = self._wait(run, experiment, folder, command, processes)
        cut_short = self.runs.runs[run]["status"] == "Canceled"
        self._keep(run, folder, STREAMED if cut_short else (*STREAMED, "outputs"))
        message = f"Process exited with code {code}." if code else ""
        self.runs.end(run, "Failed" if code else "Completed", message)

    def _wait(self, run: str, experiment: str, folder: Path, command: Sequence[str], count: int) -> int:
        """Run a command until all its processes have ended, and store what can be read meanwhile; returns the exit code."""
        (folder / "user_logs").mkdir()
        environment = self._environment(run, experiment, folder)
        ranks = _ranks(count) if count > 1 else [{}]
        with contextlib.ExitStack() as logs:
            processes = self._processes[run] = [
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env={**environment, **rank},
                    stdout=logs.enter_context((folder / (RANK_LOG.format(**rank) if rank else LOG)).open("wb")),
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
                for rank in ranks
            ]
            for process in processes:
                while process.poll() is None:
                    self._keep(run, folder, STREAMED)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.2)
        self._kill(run)
        del self._processes[run]
        codes = [process.returncode for process in processes]
        self.exit_codes.setdefault(run, []).extend(codes)
        return next((code for code in codes if code), 0)

    def _keep(self, run: str, folder: Path, names: Sequence[str]) -> None:
        for name in names:
            for path in sorted((folder / name).rglob("*")):
                if path.is_file() and not path.name.endswith(".partial"):
                    self.runs.keep(run, path.relative_to(folder).as_posix(), path.read_bytes())

    def _kill(self, run: str) -> None:
        self._signal(run, signal.SIGKILL)

    def _signal(self, run: str, by: signal.Signals) -> None:
        """Send a signal to all processes of a run, to the first one first."""
        for process in self._processes.get(run, ()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, by)

    def _environment(self, run: str, experiment: str, folder: Path) -> dict[str, str]:
        """The environment variables of a run on a cluster, without the client's credentials."""
        inherited = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
        home = folder.parent / f"{run}-home"
        home.mkdir(parents=True, exist_ok=True)
        root = self.runs.runs[run]["rootRunId"]
        return {
            **inherited,
            **self.cloud.environment,
            **self.variables,
            "HOME": str(home),
            "FTKIT_HOME": str(home / "ftkit"),
            "FTKIT_CACHE": str(home / "cache"),
            "AZUREML_RUN_ID": run,
            "AZUREML_ROOT_RUN_ID": root,
            "AZUREML_ARM_SUBSCRIPTION": SUBSCRIPTION,
            "AZUREML_ARM_RESOURCEGROUP": GROUP,
            "AZUREML_ARM_WORKSPACE_NAME": WORKSPACE,
            "AZUREML_ARM_PROJECT_NAME": experiment,
            "AZUREML_EXPERIMENT_ID": self.runs.experiment(experiment)["experimentId"],
            "AZUREML_WORKSPACE_ID": WORKSPACE_ID,
            "AZUREML_SERVICE_ENDPOINT": f"https://{API}",
            "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"https://{API}/discovery",
            "AZUREML_RUN_TOKEN": token("aml"),
            "AZUREML_RUN_TOKEN_EXPIRY": str(int(time.time()) + 28800),
            "AZUREML_CURRENT_CLOUD": "AzureCloud",
            "AZUREML_RUN_CREATED": now(),
        }


def _ranks(count: int) -> list[dict[str, str]]:
    """The environment variables of the processes of one machine that train together."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
