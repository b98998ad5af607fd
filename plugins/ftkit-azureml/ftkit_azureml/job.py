"""The pipeline as the SDK builds it: a sweep and two commands, one environment, one folder of code.

A pipeline orders its steps by what they hand on, so each step leaves a folder that the next one takes as its input. What the steps
really need is in the files of the runs, which hold those of a trial that was ended early as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftkit_azure.options import data_parts
from ftkit_azure.pipeline import CHECKPOINTS, StepNames, decision_cluster

from ftkit.contracts.plan import Plan
from ftkit.errors import StageError
from ftkit.remote.snapshot import Snapshot
from ftkit_azureml import assets, client, sweep
from ftkit_azureml.options import SweepOptions
from ftkit_azureml.scoring import Environment, conda_environment

STEPS = StepNames("search_trials", "register_best_model", "deploy_latest_model")

DONE = "done"
"""The output of a step that the next one waits for."""

MOUNTED = "checkpoints"
"""The output of a step in which it finds what an earlier start of it has written."""

ENVIRONMENT = "ftkit-pipeline"


def nodes(azure: Any, plan: Plan, options: SweepOptions, snapshot: Snapshot) -> dict[str, Any]:
    """The steps by name, in their order; the environment is created. Raises: StageError."""
    from azure.ai.ml import Input, Output, PyTorchDistribution
    from azure.ai.ml.entities import CommandComponent

    environment = assets.environment(azure, environment_of(snapshot, options), ENVIRONMENT)
    data, mounted, arguments = _data(azure, options)
    kept = _checkpoints(azure, plan)

    def component(
        verb: str, name: str, values: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any], reused: bool
    ) -> Any:
        further = [*arguments, *(f"--{output} '${{{{outputs.{output}}}}}'" for output in outputs)]
        return CommandComponent(
            name=f"ftkit_{name}",
            display_name=name,
            code=str(snapshot.folder),
            # The folder is made even when it stays empty, so that the next step begins. Signals to the shell reach what it executes.
            command=" ".join(["mkdir -p '${{outputs.done}}' && exec python", f"{verb}.py", values, *further]),
            environment=environment,
            inputs={**inputs, **data},
            outputs={DONE: Output(type="uri_folder"), **{name: Output(type="uri_folder") for name in outputs}},
            is_deterministic=reused,
        )

    searched = {name: Input(type=kind) for name, kind in sweep.inputs(plan).items()}
    values = " ".join(f"--{name} '${{{{inputs.{name}}}}}'" for name in searched)
    trial = component("trial", STEPS.search, values, searched, kept, options.reuse and not plan.fresh)
    if options.processes > 1:
        trial.distribution = PyTorchDistribution(process_count_per_instance=options.processes)
    steps = {STEPS.search: _search(plan, options, trial, mounted, kept)}
    before = STEPS.search
    for verb, name, cluster in (
        ("decide", STEPS.decide, decision_cluster(options, plan)),
        ("deploy", STEPS.deploy, options.cpu_cluster),
    ):
        inputs = {"run": Input(type="string", optional=True), "after": Input(type="uri_folder")}
        outputs = kept if name == STEPS.decide else {}
        command = component(verb, name, "$[[--run '${{inputs.run}}']]", inputs, outputs, False)
        steps[name] = _command(command, before, mounted, outputs, cluster, options.step_minutes)
        before = name
    return steps


def environment_of(snapshot: Snapshot, options: SweepOptions) -> Environment:
    """The environment of all steps: the image, and every package at one version."""
    return conda_environment(options.image, options.indexes, snapshot.pins)


def _search(
    plan: Plan, options: SweepOptions, trial: Any, mounted: Mapping[str, Any], outputs: Mapping[str, Any]
) -> Any:
    from azure.ai.ml.entities import Sweep
    from azure.ai.ml.sweep import Objective, SweepJobLimits

    search = plan.search
    return Sweep(
        trial=trial,
        compute=options.gpu_cluster,
        display_name=STEPS.search,
        inputs=dict(mounted),
        outputs=dict(outputs),
        search_space=sweep.space(plan),
        sampling_algorithm=sweep.sampler(plan),
        objective=Objective(goal=sweep.goal(plan), primary_metric=search.metric),
        early_termination=sweep.policy(plan),
        limits=SweepJobLimits(
            max_total_trials=search.trials,
            max_concurrent_trials=min(search.concurrency, search.trials),
            timeout=60 * options.search_minutes,
            trial_timeout=60 * options.trial_minutes,
        ),
    )


def _command(
    component: Any, before: str, mounted: Mapping[str, Any], outputs: Mapping[str, Any], cluster: str, minutes: int
) -> Any:
    from azure.ai.ml.entities import Command

    inputs = {
        "run": "${{parent.inputs.run}}",
        "after": f"${{{{parent.jobs.{before}.outputs.{DONE}}}}}",
        **mounted,
    }
    name = component.display_name
    command = Command(component=component, compute=cluster, display_name=name, inputs=inputs, outputs=dict(outputs))
    command.set_limits(timeout=60 * minutes)
    return command


def _checkpoints(azure: Any, plan: Plan) -> dict[str, Any]:
    """The mounted folder of the checkpoints as an output, where the recipe asks for them. Raises: StageError."""
    from azure.ai.ml import Output

    if not plan.search.checkpoint:
        return {}
    with client.translated(StageError, "the default datastore"):
        datastore = azure.datastores.get_default().name
    path = f"azureml://datastores/{datastore}/paths/{CHECKPOINTS}/"
    return {MOUNTED: Output(type="uri_folder", path=path, mode="rw_mount")}


def _data(azure: Any, options: SweepOptions) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Data assets as inputs of every component, what fills them, and the arguments that say where they lie. Raises: StageError."""
    from azure.ai.ml import Input

    inputs, mounted, arguments = {}, {}, []
    for index, (key, named) in enumerate(sorted(options.data.items())):
        name, version, file = data_parts(named)
        title = f"{name}:{version}" if version else name
        with client.translated(StageError, f"the data asset {title}"):
            asset = azure.data.get(name, version=version) if version else azure.data.get(name, label="latest")
        if asset.type not in ("uri_file", "uri_folder"):
            raise StageError(
                f"the data asset {title!r} is of type {asset.type}, and only files can be mounted",
                where=f"run.data.{key}",
                hint="Register the files themselves, as uri_file or uri_folder.",
            )
        slot = f"data_{index}"
        inputs[slot] = Input(type=asset.type)
        mounted[slot] = Input(type=asset.type, path=asset.id, mode="ro_mount")
        arguments.append(f"--data {key} '{file or '.'}' '${{{{inputs.{slot}}}}}'")
    return inputs, mounted, arguments
