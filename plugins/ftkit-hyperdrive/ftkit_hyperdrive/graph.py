"""The pipeline as the SDK builds it: three steps, one environment, one snapshot."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ftkit_azure.options import data_parts
from ftkit_azure.pipeline import CHECKPOINTS, StepNames, decision_cluster, description

from ftkit.errors import StageError
from ftkit.remote.snapshot import Snapshot, python
from ftkit_hyperdrive import sdk, search
from ftkit_hyperdrive.options import HyperDriveOptions

if TYPE_CHECKING:
    from azureml.core import Environment, Workspace
    from azureml.pipeline.core import Pipeline

    from ftkit.contracts.plan import Plan

STEPS = StepNames("HyperDrive_Step", "Register_Best_Model", "Deploy_Latest_Model")

RUN = "run"
"""The parameter of the pipeline that names ftkit's run; empty when a published pipeline is started by itself."""


def build(workspace: Workspace, plan: Plan, options: HyperDriveOptions, snapshot: Snapshot) -> Pipeline:
    """The pipeline, with its code uploaded. Raises: StageError."""
    from azureml.core import ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration, PyTorchConfiguration, RunConfiguration
    from azureml.pipeline.core import Pipeline, PipelineParameter
    from azureml.pipeline.steps import HyperDriveStep, PythonScriptStep

    environment = _environment(options, snapshot)
    inputs, arguments = _data(workspace, options)
    mounted, place = _checkpoints(workspace, plan)
    together = PyTorchConfiguration(process_count=options.processes, node_count=1) if options.processes > 1 else None
    script = ScriptRunConfig(
        str(snapshot.folder),
        script="trial.py",
        compute_target=options.gpu_cluster,
        environment=environment,
        max_run_duration_seconds=60 * options.trial_minutes,
        distributed_job_config=together,
        docker_runtime_config=DockerConfiguration(use_docker=True),
    )
    trials = HyperDriveStep(
        name=STEPS.search,
        hyperdrive_config=_hyperdrive(plan, options, script),
        estimator_entry_script_arguments=[*arguments, *place],
        inputs=[*inputs, *mounted],
        allow_reuse=options.reuse and not plan.fresh,
    )

    def after(name: str, verb: str, cluster: str, previous: Any, keeps: bool) -> Any:
        settings = RunConfiguration()
        settings.environment = environment
        settings.docker = DockerConfiguration(use_docker=True)
        settings.max_run_duration_seconds = 60 * options.step_minutes
        step = PythonScriptStep(
            f"{verb}.py",
            name=name,
            source_directory=str(snapshot.folder),
            runconfig=settings,
            compute_target=cluster,
            arguments=["--run", PipelineParameter(RUN, ""), *arguments, *(place if keeps else ())],
            inputs=[*inputs, *(mounted if keeps else ())],
            allow_reuse=False,
        )
        step.run_after(previous)
        return step

    decide = after(STEPS.decide, "decide", decision_cluster(options, plan), trials, keeps=True)
    deploy = after(STEPS.deploy, "deploy", options.cpu_cluster, decide, keeps=False)
    with sdk.calling("the pipeline cannot be built", workspace.name):
        return Pipeline(workspace, [trials, decide, deploy], description=description(plan))


def _hyperdrive(plan: Plan, options: HyperDriveOptions, script: Any) -> Any:
    from azureml.train import hyperdrive

    kinds = {
        "RANDOM": hyperdrive.RandomParameterSampling,
        "GRID": hyperdrive.GridParameterSampling,
        "BayesianOptimization": hyperdrive.BayesianParameterSampling,
    }
    policy = dict(search.policy(plan))
    return hyperdrive.HyperDriveConfig(
        run_config=script,
        hyperparameter_sampling=kinds[search.sampler(plan)](search.space(plan)),
        policy=getattr(hyperdrive, policy.pop("class"))(**policy),
        primary_metric_name=plan.search.metric,
        primary_metric_goal=hyperdrive.PrimaryMetricGoal[search.goal(plan)],
        max_total_runs=plan.search.trials,
        max_concurrent_runs=min(plan.search.concurrency, plan.search.trials),
        max_duration_minutes=options.search_minutes,
    )


def _environment(options: HyperDriveOptions, snapshot: Snapshot) -> Environment:
    """One environment for all steps, named by its content so that an image is built once."""
    from azureml.core import Environment
    from azureml.core.conda_dependencies import CondaDependencies

    dependencies = CondaDependencies()
    for channel in list(dependencies.conda_channels):
        dependencies.remove_channel(channel)  # the SDK's default channel needs a licence of its own
    dependencies.add_channel("conda-forge")
    dependencies.set_python_version(python())
    for package in list(dependencies.pip_packages):
        dependencies.remove_pip_package(package)
    for pin in snapshot.pins:
        dependencies.add_pip_package(pin)
    content = json.dumps([options.image, python(), snapshot.pins])
    environment = Environment(f"ftkit-{hashlib.sha256(content.encode()).hexdigest()[:12]}")
    environment.docker.base_image = options.image
    environment.python.conda_dependencies = dependencies
    environment.environment_variables = dict(options.environment_variables)
    return environment


def _data(workspace: Workspace, options: HyperDriveOptions) -> tuple[list[Any], list[Any]]:
    """Registered Datasets as inputs of every step, and the arguments that say where they lie. Raises: StageError."""
    inputs, arguments = [], []
    for index, (key, named) in enumerate(sorted(options.data.items())):
        name, version, file = data_parts(named)
        mounted = _dataset(workspace, name, version).as_named_input(f"data_{index}").as_mount()
        inputs.append(mounted)
        arguments += ["--data", key, file or ".", mounted]
    return inputs, arguments


def _checkpoints(workspace: Workspace, plan: Plan) -> tuple[list[Any], list[Any]]:
    """The mounted folder of the checkpoints as an input, which a step may write to as well, and the arguments that name it.

    An output of the SDK would show none of the files that an earlier start of the job has left. Raises: StageError.
    """
    from azureml.data.data_reference import DataReference

    if not plan.search.checkpoint:
        return [], []
    with sdk.calling("the default datastore cannot be opened", workspace.name):
        datastore = workspace.get_default_datastore()
    folder = DataReference(datastore, "checkpoints", path_on_datastore=CHECKPOINTS, mode="mount")
    return [folder], ["--checkpoints", folder]


def _dataset(workspace: Workspace, name: str, version: str) -> Any:
    from azureml.core import Dataset
    from azureml.data import FileDataset

    title = f"{name}:{version}" if version else name
    hint = "Compare run.data with the workspace's registered Datasets."
    with sdk.calling(f"the Dataset {title!r} cannot be opened", workspace.name, hint):
        dataset = Dataset.get_by_name(workspace, name, version=int(version) if version else "latest")
    if not isinstance(dataset, FileDataset):
        raise StageError(
            f"the Dataset {title!r} is a table, and only files can be mounted",
            where=workspace.name,
            hint="Register the files themselves: Dataset.File.from_files(…).register(…).",
        )
    return dataset
