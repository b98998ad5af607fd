"""A recipe as values: what every stage of a run is given, and what travels to other processes as text.

A platform carries a plan out, which is why its protocol stands here beside the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ftkit import options
from ftkit.contracts.components import Backbone, Component, Dataset, Deployer, PromotionTest, Registry
from ftkit.contracts.events import Emit
from ftkit.contracts.settings import Rollout, Search
from ftkit.contracts.space import to_recipe
from ftkit.contracts.types import Outcome
from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe that has been read, checked and filled in: everything a run needs, as values."""

    name: str
    seed: int
    dataset: Dataset
    backbone: Backbone
    search: Search
    promote: tuple[PromotionTest, ...] = ()
    registry: Registry | None = None
    deploy: Deployer | None = None
    rollout: Rollout = field(default_factory=Rollout)
    platform: Platform
    offline: bool = False
    path: Path | None = field(default=None, compare=False)
    """The recipe's file, where there is one."""
    fresh: bool = field(default=False, compare=False)
    """Begin anew instead of going on with an interrupted run."""

    @property
    def text(self) -> str:
        """The recipe with every value written out; `loads` makes an equal plan of it anywhere."""
        import tomli_w

        return tomli_w.dumps(_table(self))


@runtime_checkable
class Platform(Component, Protocol):
    """Where a run happens.

    A platform that also trains the repeats which `[search] confirm` asks for says so by `confirms: ClassVar[bool] = True`;
    for any other, a recipe with `confirm` is refused when it is loaded. `ftkit.evaluation.selection.planned_repeats` says, once the search has
    ended, which repeats there are: each becomes a `Trial` with its number, values and seed and with `repeats` set. No policy
    ends one early, no sampler learns from one, a failed one ends nothing, and the models that `ftkit.evaluation.selection.trials_to_keep` names
    are kept.
    """

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan: `ftkit.runner.carry_out` with a search of its own, or the whole plan elsewhere."""
        ...


@runtime_checkable
class Refusing(Protocol):
    """A platform that cannot express every recipe. Nothing requires it."""

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """What it cannot carry out of a plan: each with its key in the recipe, why, and what to write instead."""
        ...


@runtime_checkable
class Publishing(Protocol):
    """A platform that takes the whole plan to a service. Nothing requires it."""

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline it would submit, as titles and sentences; asks no service."""
        ...

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Put the pipeline there to be started by others, and return what to know of it, such as its address.

        Raises: FtkitError.
        """
        ...


def _table(plan: Plan) -> dict[str, Any]:
    """A plan as the document of a recipe."""

    def named(component: Any) -> dict[str, Any]:
        return {"use": component.name, **options.to_table(component)}

    search = plan.search
    table: dict[str, Any] = {
        "name": plan.name,
        "seed": plan.seed,
        "dataset": named(plan.dataset),
        "backbone": named(plan.backbone),
        "search": {
            "metric": search.metric,
            "trials": search.trials,
            "concurrency": search.concurrency,
            "sampler": search.sampler,
            "policy": named(search.policy),
            **({"confirm": options.to_table(search.confirm)} if search.confirm else {}),
            "space": {name: to_recipe(each) for name, each in search.space.items()},
        },
        "promote": [named(each) for each in plan.promote],
    }
    if plan.registry is not None:
        table["registry"] = named(plan.registry)
    if plan.deploy is not None:
        table["deploy"] = named(plan.deploy)
    table["rollout"] = options.to_table(plan.rollout)
    table["run"] = {"on": plan.platform.name, "offline": plan.offline, **options.to_table(plan.platform)}
    return table
