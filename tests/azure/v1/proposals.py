"""HyperDrive's sampling and policies as documented, as far as tests need them.

Source: Microsoft, "Tune hyperparameters for your model (v1)".
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Space = Mapping[str, Sequence[Any]]


def proposals(generator: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """The values of each run in turn; a grid ends with its last combination."""
    space: Space = generator["parameter_space"]
    if generator["name"] == "GRID":
        lists = [values[0] for _, values in space.values()]
        combinations = (dict(zip(space, each, strict=True)) for each in itertools.product(*lists))
        yield from itertools.islice(combinations, most)
        return
    random_numbers = random.Random(0)
    for _ in range(most):
        yield {name: _draw(random_numbers, *each) for name, each in space.items()}


def stops(policy: Mapping[str, Any], maximise: bool, curves: Mapping[str, Sequence[float]], run: str) -> bool:
    """Whether the bandit policy ends a run now; other policies end no run here."""
    settings = policy.get("properties") or {}
    count = len(curves[run])
    interval, delay = settings.get("evaluation_interval", 1), settings.get("delay_evaluation", 0)
    if policy["name"] != "Bandit" or count < delay or count % interval:
        return False
    best = max if maximise else min
    leader = best(best(each[:count]) for each in curves.values() if each)
    own = best(curves[run])
    if "slack_amount" in settings:
        slack = settings["slack_amount"]
        return own < leader - slack if maximise else own > leader + slack
    slack = 1 + settings["slack_factor"]
    return own < leader / slack if maximise else own > leader * slack


def _draw(random_numbers: random.Random, kind: str, values: Sequence[Any]) -> Any:
    match kind:
        case "choice":
            return random_numbers.choice(values[0])
        case "uniform":
            return random_numbers.uniform(*values)
        case "loguniform":
            return math.exp(random_numbers.uniform(*values))
        case "quniform":
            return round(random_numbers.uniform(values[0], values[1]) / values[2]) * values[2]
        case "qloguniform":
            return round(math.exp(random_numbers.uniform(values[0], values[1])) / values[2]) * values[2]
    raise ValueError(f"no distribution {kind}")
