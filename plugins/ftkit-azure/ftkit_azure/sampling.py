"""`[search]` of a recipe in the words of the service, and what it cannot express.

Source: Microsoft, "Tune hyperparameters for your model": the same service behind both of its SDKs.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ftkit import options
from ftkit.contracts import space
from ftkit.contracts.policies import Bandit, Median, NoPolicy, Truncation
from ftkit.contracts.space import Choice, Dimension, Int, LogUniform, Uniform
from ftkit.evaluation.metrics import GREATER_IS_BETTER
from ftkit.options import Mistake

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan

SEED = "trial_seed"
"""The one parameter where a recipe searches nothing: each trial has a seed of its own."""

MOST_LISTED = 1000
"""A range of more steps than this is sent as its ends and its step."""


def refusals(plan: Plan, service: str, trials: int, concurrency: int) -> list[Mistake]:
    """What of a plan's search a service cannot express that runs at most so many trials, and so many at a time."""
    search = plan.search
    mistakes: list[Mistake] = []

    def refuse(path: tuple[str, ...], what: str, hint: str) -> None:
        mistakes.append(Mistake(path, what, hint))

    if plan.offline:
        refuse(
            ("run", "offline"), "a pipeline on Azure needs connections", "Run offline on another platform: --on local."
        )
    if not isinstance(search.policy, Bandit | Median | Truncation | NoPolicy):
        refuse(
            ("search", "policy", "use"),
            f"{service} has no policy {search.policy.name!r}",
            "Its policies are bandit, median, truncation and none.",
        )
    if search.sampler == "tpe" and not isinstance(search.policy, NoPolicy):
        refuse(
            ("search", "policy", "use"),
            f"{service} stops no trial early when it samples by Bayesian optimisation",
            'Use policy = "none", or sampler = "random".',
        )
    if search.trials > trials:
        refuse(("search", "trials"), f"{service} runs at most {trials} trials", "Lower search.trials.")
    if search.concurrency > concurrency:
        refuse(
            ("search", "concurrency"),
            f"{service} runs at most {concurrency} trials at a time",
            "Lower search.concurrency.",
        )
    for name, dimension in search.space.items():
        key = ("search", "space", name)
        if search.sampler == "tpe" and (
            isinstance(dimension, LogUniform) or (isinstance(dimension, Int) and dimension.log)
        ):
            refuse(
                key,
                f"{service}'s Bayesian sampling has no logarithmic scale",
                'List the values, take log away, or use sampler = "random".',
            )
        count = space.size(dimension)
        if count is not None and count > MOST_LISTED and not _multiples_of_step(dimension):
            refuse(
                key,
                f"{service} counts steps from 0, which does not meet the {count} values from low",
                "Let low be a multiple of the step, take the step away, or list the values.",
            )
    return mistakes


def parameters(plan: Plan) -> dict[str, list[Any]]:
    """The search space as the service writes it: `{"learning_rate": ["choice", [[3e-5, 5e-5]]]}`."""
    if not plan.search.space:
        return {SEED: ["choice", [[plan.seed + number for number in range(plan.search.trials)]]]}
    return {name: expression(each) for name, each in plan.search.space.items()}


def expression(dimension: Dimension) -> list[Any]:
    """One dimension as the service writes it; finite dimensions are listed, so that no sampler rounds a value."""
    count = space.size(dimension)
    match dimension:
        case LogUniform(low, high):
            return ["loguniform", [math.log(low), math.log(high)]]
        case Int(low, high, _, True):
            return ["qloguniform", [math.log(low), math.log(high), 1]]
        case Uniform(low, high, None):
            return ["uniform", [low, high]]
        case _ if count is not None and count <= MOST_LISTED:
            return ["choice", [_listed([options.toml_value(each) for each in space.grid(dimension)])]]
        case Int(low, high, step) | Uniform(low, high, step):
            return ["quniform", [low, high, step]]
        case Choice(values):
            return ["choice", [_listed([options.toml_value(each) for each in values])]]


def sampler(plan: Plan) -> str:
    """How trials are proposed: random, grid or tpe; a recipe that searches nothing takes one seed after the other."""
    return plan.search.sampler if plan.search.space else "grid"


def maximised(plan: Plan) -> bool:
    """Whether more of the recipe's metric is better."""
    return GREATER_IS_BETTER[plan.search.metric]


def shown(kind: str, values: Any) -> str:
    """An expression as a person reads it: `choice(3e-05, 5e-05)`."""
    arguments = values[0] if kind == "choice" else values
    return f"{kind}({', '.join(f'{each:g}' if isinstance(each, float) else str(each) for each in arguments)})"


def _listed(values: list[Any]) -> list[Any]:
    """Values as a choice can hold them: all texts or all numbers; anything else is sent as JSON."""
    if all(isinstance(each, str) for each in values) or all(type(each) in (int, float) for each in values):
        return values
    return [json.dumps(each) for each in values]


def _multiples_of_step(dimension: Dimension) -> bool:
    """Whether the service's `quniform` draws the values of a stepped range: multiples of its step."""
    if isinstance(dimension, Int):
        return dimension.log or dimension.low % dimension.step == 0
    if isinstance(dimension, Uniform) and dimension.step:
        return math.isclose(dimension.low / dimension.step, round(dimension.low / dimension.step))
    return True
