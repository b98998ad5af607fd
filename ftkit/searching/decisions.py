"""What is answered to an evaluation: whether its trial goes on, by the policy, or past the budget.

Each answer follows from the recipe, from the trials that have ended, and from what those under way have reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ftkit.contracts import EndingEarly, Trial, capable
from ftkit.contracts.space import BACKBONE
from ftkit.evaluation import metrics
from ftkit.plugins.calls import call
from ftkit.searching import policies
from ftkit.searching.running import RunningTrial

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan


def goes_on(plan: Plan, trial: RunningTrial, ended: Sequence[Trial], running: Iterable[RunningTrial]) -> bool:
    """Whether the policy lets a trial go on after its latest evaluation; `ended` are the trials of the search without repeats."""
    if trial.repeats is not None:  # it measures a whole training, so no policy cuts it short
        return True
    metric = plan.search.metric

    def compares(other: Trial | RunningTrial) -> bool:
        """An epoch of another backbone is another piece of work, so that its curve says nothing here."""
        return not plan.backbones or other.values[BACKBONE] == trial.values[BACKBONE]

    histories: dict[int, Sequence[Mapping[str, float]]]
    histories = {each.number: each.history for each in ended if each.state != "failed" and compares(each)}
    histories |= {each.number: each.history for each in running if compares(each)}
    del histories[trial.number]
    others = {number: [entry[metric] for entry in history] for number, history in sorted(histories.items())}
    values = [entry[metric] for entry in trial.history]
    return not policies.stops(plan.search.policy, metric, trial.number, values, others)


def past_budget(
    plan: Plan, trial: RunningTrial, ended: Sequence[Trial], running: Iterable[RunningTrial]
) -> tuple[bool, bool]:
    """Whether a trial goes on though the budget is spent; if not, whether its training ends with the best model so far.

    A backbone that cannot end early has no model before its end: then the best trial goes on if none has finished, so that one can win.
    """
    if trial.repeats is not None:
        return False, False
    backbone, _ = plan.drawn(trial.values)
    if capable(backbone, EndingEarly) and call(EndingEarly.ends_early, backbone):
        return False, True
    metric = plan.search.metric
    rivals = [each for each in running if each is not trial and each.repeats is None and each.history]
    leads = not any(metrics.better(metric, _best(each, metric), _best(trial, metric)) for each in rivals)
    return leads and all(each.state != "finished" for each in ended), False


def _best(trial: RunningTrial, metric: str) -> float:
    return trial.history[trial.best][metric]
