"""The pipeline as the SDK builds it: three steps, one environment, one snapshot."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ftkit_azure.monitor import Names

from ftkit.errors import StageError
from ftkit.remote.snapshot import Luggage, python
from ftkit_hyperdrive import sdk, search

if TYPE_CHECKING:
    from azureml.core import Environment, Workspace
    from azureml.pipeline.core import Pipeline

    from ftkit.contracts.plan import Plan
    from ftkit_hyperdrive.platform import HyperDrive

SEARCH, DECIDE, DEPLOY = "HyperDrive_Step", "Register_Best_Model", "Deploy_Latest_Model"
"""Names of the steps, in their order."""

STEPS = Names(SEARCH, DECIDE, DEPLOY)

RUN = "run"
"""The parameter of the pipeline that names the run it belongs to; empty when a published pipeline is started by itself."""


def build(workspace: Workspace, plan: Plan, platform: HyperDrive, luggage: Luggage) -> Pipeline:
    """The pipeline, with its code uploaded. Raises: StageError."""
    from azureml.core import ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration, RunConfiguration
    from azureml.pipeline.core import Pipeline, PipelineParameter
    from azureml.pipeline.steps import HyperDriveStep, PythonScriptStep

    environment = _environment(platform, luggage)
    inputs, arguments = _data(workspace, platform)
    script = ScriptRunConfig(
        str(luggage.folder),
        script="trial.py",
        compute_target=platform.gpu_cluster,
        environment=environment,
        max_run_duration_seconds=60 * platform.trial_minutes,
        docker_runtime_config=DockerConfiguration(use_docker=True),
    )
    trials = HyperDriveStep(
        name=SEARCH,
        hyperdrive_config=_hyperdrive(plan, platform, script),
        estimator_entry_script_arguments=arguments,
        inputs=inputs,
        allow_reuse=platform.reuse and not plan.fresh,
    )

    def after(name: str, verb: str, cluster: str, previous: Any) -> Any:
        settings = RunConfiguration()
        settings.environment = environment
        settings.docker = DockerConfiguration(use_docker=True)
        settings.max_run_duration_seconds = 60 * platform.step_minutes
        step = PythonScriptStep(
            f"{verb}.py",
            name=name,
            source_directory=str(luggage.folder),
            runconfig=settings,
            compute_target=cluster,
            arguments=["--run", PipelineParameter(RUN, ""), *arguments],
            inputs=inputs,
            allow_reuse=False,
        )
        step.run_after(previous)
        return step

    decide = after(DECIDE, "decide", decision_cluster(plan, platform), trials)
    deploy = after(DEPLOY, "deploy", platform.cpu_cluster, decide)
    with sdk.asking("the pipeline cannot be built", workspace.name):
        return Pipeline(workspace, [trials, decide, deploy], description=f"ftkit run of the recipe {plan.name}")


def decision_cluster(plan: Plan, platform: HyperDrive) -> str:
    """Where the decision is made: on the GPU cluster when it has repeats to train."""
    return platform.gpu_cluster if plan.search.confirm else platform.cpu_cluster


def _hyperdrive(plan: Plan, platform: HyperDrive, script: Any) -> Any:
    from azureml.train import hyperdrive

    kinds = {
        "RANDOM": hyperdrive.RandomParameterSampling,
        "GRID": hyperdrive.GridParameterSampling,
        "BayesianOptimization": hyperdrive.BayesianParameterSampling,
    }
    said = dict(search.policy(plan))
    return hyperdrive.HyperDriveConfig(
        run_config=script,
        hyperparameter_sampling=kinds[search.sampler(plan)](search.space_of(plan)),
        policy=getattr(hyperdrive, said.pop("class"))(**said),
        primary_metric_name=plan.search.metric,
        primary_metric_goal=hyperdrive.PrimaryMetricGoal[search.goal(plan)],
        max_total_runs=plan.search.trials,
        max_concurrent_runs=min(plan.search.concurrency, plan.search.trials),
        max_duration_minutes=platform.search_minutes,
    )


def _environment(platform: HyperDrive, luggage: Luggage) -> Environment:
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
    for pin in luggage.pins:
        dependencies.add_pip_package(pin)
    content = json.dumps([platform.image, python(), luggage.pins])
    environment = Environment(f"ftkit-{hashlib.sha256(content.encode()).hexdigest()[:12]}")
    environment.docker.base_image = platform.image
    environment.python.conda_dependencies = dependencies
    environment.environment_variables = dict(platform.environment_variables)
    return environment


def _data(workspace: Workspace, platform: HyperDrive) -> tuple[list[Any], list[Any]]:
    """Registered Datasets as inputs of every step, and the arguments that say where they lie. Raises: StageError."""
    inputs, arguments = [], []
    for index, (key, said) in enumerate(sorted(platform.data.items())):
        name, _, file = said.partition("/")
        name, _, version = name.partition(":")
        given = _dataset(workspace, name, version).as_named_input(f"data_{index}").as_mount()
        inputs.append(given)
        arguments += ["--data", key, file or ".", given]
    return inputs, arguments


def _dataset(workspace: Workspace, name: str, version: str) -> Any:
    from azureml.core import Dataset
    from azureml.data import FileDataset

    title = f"{name}:{version}" if version else name
    with sdk.asking(
        f"the Dataset {title!r} cannot be had",
        workspace.name,
        "Compare run.data with the workspace's registered Datasets.",
    ):
        found = Dataset.get_by_name(workspace, name, version=int(version) if version else "latest")
    if not isinstance(found, FileDataset):
        raise StageError(
            f"the Dataset {title!r} is a table, and only files can be mounted",
            where=workspace.name,
            hint="Register the files themselves: Dataset.File.from_files(…).register(…).",
        )
    return found
