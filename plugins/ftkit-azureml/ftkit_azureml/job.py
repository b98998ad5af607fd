"""The pipeline as the SDK builds it: a sweep and two commands, one environment, one folder of code.

The order of steps follows from what they hand on, so each leaves a folder that the next one asks for. What really travels is in the
runs' own files, where that of a trial which was ended early is found as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit_azure.monitor import Names

from ftkit.errors import StageError
from ftkit.remote.snapshot import Luggage
from ftkit_azureml import assets, refusals, sweep
from ftkit_azureml.scoring import Environment

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit_azureml.platform import AzurePipelines

STEPS = Names("search_trials", "register_best_model", "deploy_latest_model")
"""Names of the steps, in their order."""

DONE = "done"
"""The output of a step that the next one waits for."""

ENVIRONMENT = "ftkit-pipeline"


def nodes(client: Any, plan: Plan, platform: AzurePipelines, luggage: Luggage) -> dict[str, Any]:
    """The steps by name, in their order; the environment is made. Raises: StageError."""
    from azure.ai.ml import Input, Output
    from azure.ai.ml.entities import CommandComponent

    environment = assets.environment(client, conda(luggage, platform), ENVIRONMENT)
    data, mounted, arguments = _data(client, platform)

    def component(verb: str, name: str, given: str, inputs: Mapping[str, Any], reused: bool) -> Any:
        return CommandComponent(
            name=f"ftkit_{name}",
            display_name=name,
            code=str(luggage.folder),
            # The folder is left even when it stays empty, so that what waits for it begins.
            command=" ".join(["mkdir -p '${{outputs.done}}' && python", f"{verb}.py", given, *arguments]),
            environment=environment,
            inputs={**inputs, **data},
            outputs={DONE: Output(type="uri_folder")},
            is_deterministic=reused,
        )

    searched = {name: Input(type=kind) for name, kind in sweep.inputs(plan).items()}
    values = " ".join(f"--{name} '${{{{inputs.{name}}}}}'" for name in searched)
    trial = component("trial", STEPS.search, values, searched, platform.reuse and not plan.fresh)
    found = {STEPS.search: _search(plan, platform, trial, mounted)}
    before = STEPS.search
    for verb, name, cluster in (
        ("decide", STEPS.decide, decision_cluster(plan, platform)),
        ("deploy", STEPS.deploy, platform.cpu_cluster),
    ):
        run = {"run": Input(type="string", optional=True), "after": Input(type="uri_folder")}
        made = component(verb, name, "$[[--run '${{inputs.run}}']]", run, False)
        found[name] = _command(made, before, mounted, cluster, platform.step_minutes)
        before = name
    return found


def decision_cluster(plan: Plan, platform: AzurePipelines) -> str:
    """Where the decision is made: on the GPU cluster when it has repeats to train."""
    return platform.gpu_cluster if plan.search.confirm else platform.cpu_cluster


def conda(luggage: Luggage, platform: AzurePipelines) -> Environment:
    """The environment of all steps: the image, and every package at one version."""
    import platform as machine

    import yaml

    pip = [*(f"--extra-index-url {each}" for each in platform.indexes), *luggage.pins]
    table = {
        "name": "ftkit",
        "channels": ["conda-forge"],
        "dependencies": [f"python={machine.python_version()}", "pip", {"pip": pip}],
    }
    return Environment(platform.image, yaml.safe_dump(table, sort_keys=False))


def _search(plan: Plan, platform: AzurePipelines, trial: Any, mounted: Mapping[str, Any]) -> Any:
    from azure.ai.ml.entities import Sweep
    from azure.ai.ml.sweep import Objective, SweepJobLimits

    search = plan.search
    return Sweep(
        trial=trial,
        compute=platform.gpu_cluster,
        display_name=STEPS.search,
        inputs=dict(mounted),
        search_space=sweep.space(plan),
        sampling_algorithm=sweep.sampler(plan),
        objective=Objective(goal=sweep.goal(plan), primary_metric=search.metric),
        early_termination=sweep.policy(plan),
        limits=SweepJobLimits(
            max_total_trials=search.trials,
            max_concurrent_trials=min(search.concurrency, search.trials),
            timeout=60 * platform.search_minutes,
            trial_timeout=60 * platform.trial_minutes,
        ),
    )


def _command(component: Any, before: str, mounted: Mapping[str, Any], cluster: str, minutes: int) -> Any:
    from azure.ai.ml.entities import Command

    given = {"run": "${{parent.inputs.run}}", "after": f"${{{{parent.jobs.{before}.outputs.{DONE}}}}}"}
    made = Command(
        component=component, compute=cluster, display_name=component.display_name, inputs={**given, **mounted}
    )
    made.set_limits(timeout=60 * minutes)
    return made


def _data(client: Any, platform: AzurePipelines) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Data assets as inputs of every component, what fills them, and the arguments that say where they lie. Raises: StageError."""
    from azure.ai.ml import Input

    inputs, mounted, arguments = {}, {}, []
    for index, (key, said) in enumerate(sorted(platform.data.items())):
        title, _, file = said.partition("/")
        name, _, version = title.partition(":")
        with refusals.told(StageError, f"the data asset {title}"):
            found = client.data.get(name, version=version) if version else client.data.get(name, label="latest")
        if found.type not in ("uri_file", "uri_folder"):
            raise StageError(
                f"the data asset {title!r} is of type {found.type}, and only files can be mounted",
                where=f"run.data.{key}",
                hint="Register the files themselves, as uri_file or uri_folder.",
            )
        input_ = f"data_{index}"
        inputs[input_] = Input(type=found.type)
        mounted[input_] = Input(type=found.type, path=found.id, mode="ro_mount")
        arguments.append(f"--data {key} '{file or '.'}' '${{{{inputs.{input_}}}}}'")
    return inputs, mounted, arguments
