"""A recipe as values: what every stage of a run is given, and what travels to other processes as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftkit import contracts, options
from ftkit.rollout import Rollout
from ftkit.search import Search
from ftkit.space import to_recipe


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe that has been read, checked and filled in: everything a run needs, as values."""

    name: str
    seed: int
    dataset: contracts.Dataset
    backbone: contracts.Backbone
    search: Search
    promote: tuple[contracts.PromotionTest, ...] = ()
    registry: contracts.Registry | None = None
    deploy: contracts.Deployer | None = None
    rollout: Rollout = field(default_factory=Rollout)
    platform: contracts.Platform
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
