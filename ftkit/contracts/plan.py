"""A recipe as values: the plan that every stage of a run gets, and that other processes get as text.

A platform carries out a plan, so its protocol is in this module too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ftkit import options
from ftkit.contracts.components import Backbone, Component, Dataset, Deployer, PromotionTest, Registry
from ftkit.contracts.deciding import Decision
from ftkit.contracts.events import Emit
from ftkit.contracts.settings import Rollout, Search
from ftkit.contracts.space import BACKBONE, table
from ftkit.contracts.types import Outcome
from ftkit.errors import Problem
from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe that has been read, checked and completed with defaults: everything a run needs, as values."""

    name: str
    """What its runs are called."""
    seed: int
    """What splits, proposals and trainings draw by."""
    dataset: Dataset
    """Where the rows come from."""
    backbone: Backbone
    """The backbone that is trained; of several that are searched, the first."""
    search: Search
    """How hyperparameters are searched."""
    decision: Decision = field(default_factory=Decision)
    """How probabilities become answers."""
    promote: tuple[PromotionTest, ...] = ()
    """The promotion tests, those of presets among them."""
    registry: Registry | None = None
    """Where a promoted model is registered; None registers none."""
    deploy: Deployer | None = None
    """Where a promoted model is deployed; None deploys none."""
    rollout: Rollout = field(default_factory=Rollout)
    """How a new deployment takes over."""
    platform: Platform
    """Where the run happens."""
    backbones: tuple[Backbone, ...] = ()
    """The backbones among which each trial's is drawn; empty where the recipe names one."""
    offline: bool = False
    """Whether no connection is to be made."""
    plugins: tuple[str, ...] | None = None
    """The distributions whose plugins the run uses, besides ftkit itself; None for all that are installed."""
    path: Path | None = field(default=None, compare=False)
    """The recipe's file, if there is one."""
    missing: tuple[Problem, ...] = field(default=(), compare=False)
    """Files and folders that data set, backbone and promotion tests name and that are not on this machine, with their places."""
    fresh: bool = field(default=False, compare=False)
    """Start a new run instead of continuing an interrupted one."""

    @property
    def every_backbone(self) -> tuple[Backbone, ...]:
        """All that may be trained: those that are searched, or the one."""
        return self.backbones or (self.backbone,)

    def drawn(self, values: Mapping[str, Any]) -> tuple[Backbone, dict[str, Any]]:
        """The backbone of a trial with these values, as the recipe sets it, and the values of its fields."""
        if not self.backbones:
            return self.backbone, dict(values)
        backbone = next(each for each in self.backbones if each.name == values[BACKBONE])
        return backbone, {name.rpartition(".")[2]: value for name, value in values.items() if name != BACKBONE}

    @property
    def backbone_section(self) -> dict[str, Any]:
        """The section of the backbone, or of several, in the resolved recipe."""
        return {each.name: options.to_table(each) for each in self.backbones} or _section(self.backbone)

    @property
    def text(self) -> str:
        """The resolved recipe as TOML, with every value written out; `ftkit.recipe.loader.loads` makes an equal plan from it."""
        import tomli_w

        return tomli_w.dumps(_table(self))


@runtime_checkable
class Platform(Component, Protocol):
    """Where a run happens.

    A platform that also trains the repeats of `[search] confirm` declares `confirms: ClassVar[bool] = True`; for any other, a recipe
    with `confirm` is refused when it is loaded. When the search has ended, `ftkit.evaluation.selection.planned_repeats` returns the
    repeats: each becomes a `Trial` with its number, values and seed and with `repeats` set. No policy stops a repeat, no sampler learns
    from one, and one that fails does not end the search. The models of `ftkit.evaluation.selection.trials_to_keep` are kept.
    """

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan: call `ftkit.runner.carry_out` with a search of the platform, or have a service carry it out.

        `carry_out` emits the events of the run. The search owes those of its trials, which `ftkit.searching.run_trials` emits as well:
        `SearchStarted` once; for each attempt `TrialStarted`, and `TrialRetried` before another; `TrialReported` for each evaluation;
        `TrialFinished` once for each trial; before the first repeat `ConfirmationStarted`; `BudgetSpent` where a budget ends it.
        `TrialSampled` may be left out. Ctrl-C may come out of `emit`: end what runs, and let it pass.
        """
        ...


@runtime_checkable
class Refusing(Protocol):
    """A platform that cannot express every recipe. Nothing requires it."""

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """The parts of a plan that it cannot carry out: each with its key in the recipe, the reason, and what to write instead."""
        ...


@runtime_checkable
class Searching(Protocol):
    """A platform that searches by `ftkit.searching`, or as that does: it obeys budgets and starts from earlier runs.

    Nothing requires it. With any other platform, a recipe with `max_minutes`, `max_cost` or `start_from` is refused when it is loaded.
    """

    @property
    def searches(self) -> bool:
        """Whether it does: an attribute of the class."""
        ...


@runtime_checkable
class Publishing(Protocol):
    """A platform that lets a service carry out the whole plan. Nothing requires it."""

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline that it would submit, as titles and sentences; makes no connection."""
        ...

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Publish the pipeline on the service so that others can start it, and return facts about it, such as its address.

        Raises: FtkitError.
        """
        ...


_UNLESS_NONE = ("max_minutes", "max_cost", "price_per_trial_hour", "start_from")
"""Options of the search that are written only where they are set."""


def _table(plan: Plan) -> dict[str, Any]:
    """A plan as the document of a recipe."""

    search = plan.search
    document: dict[str, Any] = {
        "name": plan.name,
        "seed": plan.seed,
        "dataset": _section(plan.dataset),
        "backbone": plan.backbone_section,
        "search": {
            "metric": search.metric,
            "trials": search.trials,
            "concurrency": search.concurrency,
            "sampler": search.sampler,
            "policy": _section(search.policy),
            **({"checkpoint": search.checkpoint} if search.checkpoint else {}),
            **({"confirm": options.to_table(search.confirm)} if search.confirm else {}),
            **({"prefer": options.to_table(search.prefer)} if search.prefer else {}),
            **{name: vars(search)[name] for name in _UNLESS_NONE if vars(search)[name] is not None},
            "space": table(search.space),
        },
        "promote": [_section(each) for each in plan.promote],
    }
    if plan.decision != Decision():  # as in resolved recipes from before there was such a section
        document["decision"] = options.to_table(plan.decision)
    if plan.registry is not None:
        document["registry"] = _section(plan.registry)
    if plan.deploy is not None:
        document["deploy"] = _section(plan.deploy)
    document["rollout"] = options.to_table(plan.rollout)
    chosen = {} if plan.plugins is None else {"plugins": list(plan.plugins)}
    document["run"] = {
        "on": plan.platform.name,
        "offline": plan.offline,
        **chosen,
        **options.to_table(plan.platform),
    }
    return document


def _section(component: Any) -> dict[str, Any]:
    return {"use": component.name, **options.to_table(component)}
