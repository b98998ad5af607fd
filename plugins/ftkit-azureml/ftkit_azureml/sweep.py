"""`[search]` of a recipe as a sweep of the SDK, one to one, and what a sweep cannot express.

Source: Microsoft, "Hyperparameter tuning a model (v2)" and "CLI (v2) sweep job YAML schema".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit_azure import sampling

from ftkit.contracts.policies import Bandit, Median, Truncation
from ftkit.options import Mistake

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan

SAMPLERS = {"random": "random", "grid": "grid", "tpe": "bayesian"}


def refusals(plan: Plan) -> list[Mistake]:
    """What of a plan's search a sweep cannot express."""
    mistakes = sampling.refusals(plan, "A sweep", trials=1000, concurrency=1000)
    for name, (kind, values) in sampling.parameters(plan).items():
        if kind == "choice" and any(isinstance(each, str) and "'" in each for each in values[0]):
            what = "a sweep passes values through a shell, which a single quote would end"
            mistakes.append(Mistake(("search", "space", name), what, "Choose values without single quotes."))
    return mistakes


def space(plan: Plan) -> dict[str, Any]:
    """The search space as the SDK's distributions."""
    from azure.ai.ml import sweep

    distributions: dict[str, Any] = {}
    for name, (kind, values) in sampling.parameters(plan).items():
        match kind:
            case "choice":
                distributions[name] = sweep.Choice(values=values[0])
            case "uniform":
                distributions[name] = sweep.Uniform(min_value=values[0], max_value=values[1])
            case "loguniform":
                distributions[name] = sweep.LogUniform(min_value=values[0], max_value=values[1])
            case "quniform":
                distributions[name] = sweep.QUniform(min_value=values[0], max_value=values[1], q=values[2])
            case _:
                distributions[name] = sweep.QLogUniform(min_value=values[0], max_value=values[1], q=values[2])
    return distributions


def inputs(plan: Plan) -> dict[str, str]:
    """The type of each searched parameter, as a component's input has it."""
    return {name: _type(*each) for name, each in sampling.parameters(plan).items()}


def sampler(plan: Plan) -> str:
    """The service's name of the sampler."""
    return SAMPLERS[sampling.sampler(plan)]


def goal(plan: Plan) -> str:
    """Whether the metric is to be maximised or minimised."""
    return "maximize" if sampling.maximised(plan) else "minimize"


def policy(plan: Plan) -> Any | None:
    """The SDK's policy, or None for none."""
    from azure.ai.ml import sweep

    match plan.search.policy:
        case Bandit(slack_factor=factor, slack_amount=amount, interval=interval, delay=delay):
            slack: dict[str, Any] = {"slack_factor": factor} if factor is not None else {"slack_amount": amount}
            return sweep.BanditPolicy(**slack, evaluation_interval=interval, delay_evaluation=delay)
        case Median(interval=interval, delay=delay):
            return sweep.MedianStoppingPolicy(evaluation_interval=interval, delay_evaluation=delay)
        case Truncation(percentage=percentage, interval=interval, delay=delay):
            return sweep.TruncationSelectionPolicy(
                truncation_percentage=percentage, evaluation_interval=interval, delay_evaluation=delay
            )
        case _:
            return None


def described(plan: Plan) -> str:
    """The sweep as a person reads it; without the SDK."""
    listed = ", ".join(f"{name} {sampling.shown(*each)}" for name, each in sampling.parameters(plan).items())
    stopping, concurrency = plan.search.policy, min(plan.search.concurrency, plan.search.trials)
    return (
        f"{sampler(plan)} over {listed}; {goal(plan)} {plan.search.metric}; policy {stopping.name}; "
        f"{plan.search.trials} trials, {concurrency} at a time"
    )


def _type(kind: str, values: Any) -> str:
    arguments = values[0] if kind == "choice" else values
    if any(isinstance(each, str) for each in arguments):
        return "string"
    is_whole = kind in ("choice", "quniform") and all(isinstance(each, int) for each in arguments)
    return "integer" if is_whole else "number"
