"""`[search]` of a recipe in the words of HyperDrive, one to one, and what HyperDrive cannot express.

Source: Microsoft, "Tune hyperparameters for your model (v1)"; the checks of azureml-train-core, which are repeated here so that a
recipe is refused when it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit_azure import sampling

from ftkit.contracts.policies import Bandit, Median, Truncation

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.options import Mistake


def refusals(plan: Plan) -> list[Mistake]:
    """What of a plan's search HyperDrive cannot express."""
    return sampling.refusals(plan, "HyperDrive", trials=1000, concurrency=100)


LEAST_SLACK = 1e-9
"""What stands for no slack at all: the SDK leaves a slack of 0 out of what it sends, and then fails on reading it back."""


def space(plan: Plan) -> dict[str, list[Any]]:
    """The search space as HyperDrive writes it: `{"--learning_rate": ["choice", [[3e-5, 5e-5]]]}`."""
    return {f"--{name}": each for name, each in sampling.parameters(plan).items()}


def sampler(plan: Plan) -> str:
    """HyperDrive's name of the sampler."""
    return {"random": "RANDOM", "grid": "GRID", "tpe": "BayesianOptimization"}[sampling.sampler(plan)]


def policy(plan: Plan) -> Mapping[str, Any]:
    """The policy as HyperDrive's class takes it: its name there, and its arguments."""
    match plan.search.policy:
        case Bandit(slack_factor=factor, slack_amount=amount, interval=interval, delay=delay):
            option, slack = ("slack_factor", factor) if factor is not None else ("slack_amount", amount)
            timing = {"evaluation_interval": interval, "delay_evaluation": delay}
            return {"class": "BanditPolicy", option: slack or LEAST_SLACK, **timing}
        case Median(interval=interval, delay=delay):
            return {"class": "MedianStoppingPolicy", "evaluation_interval": interval, "delay_evaluation": delay}
        case Truncation(percentage=percentage, interval=interval, delay=delay):
            timing = {"evaluation_interval": interval, "delay_evaluation": delay}
            return {"class": "TruncationSelectionPolicy", "truncation_percentage": percentage, **timing}
        case _:
            return {"class": "NoTerminationPolicy"}


def goal(plan: Plan) -> str:
    """MAXIMIZE or MINIMIZE."""
    return "MAXIMIZE" if sampling.maximised(plan) else "MINIMIZE"


def described(plan: Plan) -> str:
    """The search as a person reads it; without the SDK."""
    listed = ", ".join(f"{name} {sampling.shown(*each)}" for name, each in space(plan).items())
    arguments = dict(policy(plan))
    policy_class = arguments.pop("class")
    stopping = f"{policy_class}({', '.join(f'{key}={value}' for key, value in arguments.items())})"
    return (
        f"{sampler(plan)} over {listed}; {goal(plan)} {plan.search.metric}; {stopping}; "
        f"{plan.search.trials} runs, {min(plan.search.concurrency, plan.search.trials)} at a time"
    )
