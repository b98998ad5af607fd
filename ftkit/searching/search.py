"""Decides which trials a search has, and in which order they begin: new ones, interrupted ones, and the repeats of the best.

Where they run is the matter of `ftkit.searching.attempts`, what becomes of them that of `ftkit.searching.under_way`.
"""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import TYPE_CHECKING

from ftkit import events
from ftkit.contracts import Emit, Trial
from ftkit.evaluation import selection
from ftkit.runs import warm_start
from ftkit.searching import failures, sampling
from ftkit.searching.attempts import Workers
from ftkit.searching.under_way import TrialsUnderWay

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger
    from ftkit.searching.options import TrialOptions


def at_a_time(plan: Plan) -> int:
    """Trials that run at the same time: by the plan alone, so that a resumed trial gets the threads it had before."""
    return min(plan.search.concurrency, sampling.total(plan.search))


def patience(plan: Plan) -> float:
    """Seconds that workers may take to end: a checkpoint is written at the next step, which may be long."""
    return 120.0 if plan.search.checkpoint else 5.0


class Trials:
    """The trials of one plan."""

    def __init__(self, plan: Plan, ledger: Ledger, emit: Emit, options: TrialOptions, workers: Workers) -> None:
        self.plan = plan
        self.ledger = ledger
        self.emit = emit
        warm_start.take(plan, ledger)
        self.before = warm_start.taken(ledger)
        self.total = sampling.total(plan.search, warm_start.combinations(self.before))
        self.under_way = TrialsUnderWay(plan, ledger, emit, options, workers, at_a_time(plan))

    def run(self) -> list[Trial]:
        """Every trial and repeat by number, those of an interrupted run included."""
        try:
            self._search()
            failures.check_success(self.ledger)
            self._confirm()
        finally:
            self.under_way.end()
        return self.ledger.trials()

    def _search(self) -> None:
        """Run the trials that the recipe asks for."""
        ended = self.under_way.searched()
        self.emit(events.SearchStarted(self.total, len(ended), self.plan.search.metric, self.under_way.at_a_time))
        self._notice()
        self.under_way.remove_beaten_models()
        begun = {fact["number"]: fact for fact in self.ledger.facts("trial-started")}
        interrupted = sorted((begun.keys() & set(range(self.total))) - {trial.number for trial in ended})
        new = range(max(begun, default=-1) + 1, self.total)
        self.under_way.run_all(
            [
                functools.partial(self.under_way.start, number, begun[number]["values"], begun[number]["seed"])
                for number in interrupted
            ]
            + [functools.partial(self._propose, number) for number in new],
            len(interrupted),
        )

    def _confirm(self) -> None:
        """Train the best configurations again with other seeds, where the recipe asks for it."""
        repeats = selection.planned_repeats(self.plan.search, self.plan.seed, self.ledger.trials())
        if not repeats or self.under_way.over():
            return
        ended = {trial.number for trial in self.ledger.trials()}
        done = sum(repeat.number in ended for repeat in repeats)
        repeated = tuple(dict.fromkeys(repeat.repeats for repeat in repeats))
        self.emit(events.ConfirmationStarted(repeated, len(repeats) // len(repeated), len(repeats), done))
        self.under_way.run_all(
            [functools.partial(self._repeat, repeat) for repeat in repeats if repeat.number not in ended]
        )

    def _propose(self, number: int) -> None:
        """Propose the values of a new trial, write them down, start it."""
        trials = self.under_way.searched(), self.under_way.values(), self.before
        values, seed = sampling.propose(self.plan.search, self.plan.seed, number, *trials)
        self.ledger.append("trial-started", number=number, values=values, seed=seed)
        self.under_way.start(number, values, seed)

    def _repeat(self, repeat: selection.Repeat) -> None:
        """Write down a repeat, unless an interrupted run did, and start it."""
        if all(fact["number"] != repeat.number for fact in self.ledger.facts("trial-started")):
            self.ledger.append("trial-started", **asdict(repeat))
        self.under_way.start(repeat.number, repeat.values, repeat.seed, repeat.repeats)

    def _notice(self) -> None:
        """Tell the user what was taken from an earlier run, and of a space that is smaller than the search."""
        for text, warning in warm_start.notices(self.plan, self.ledger):
            self.emit(events.Noticed(text, warning))
        if text := sampling.remark(self.plan.search, warm_start.combinations(self.before)):
            self.emit(events.Noticed(text))
