"""What a search has used of the budget in `[search]`, over all its interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from ftkit.contracts.settings import Search
from ftkit.events import BudgetSpent, Emit
from ftkit.searching.attempts import Attempt

if TYPE_CHECKING:
    from ftkit.runs.ledger import Ledger

FACT = "search-time"
"""The fact of the journal that has what was used so far, in all."""
ENDED = "budget-spent"
"""The fact that the budget ended the search."""
WRITTEN_EVERY = 30.0
"""Seconds after which what was used is written down again: what a search that is killed may lose of it."""


class Budget:
    """Counts the time of attempts, those that failed or were killed included; while one waits for its place, it costs nothing."""

    def __init__(self, search: Search, ledger: Ledger, emit: Emit, clock: Callable[[], float] = time.monotonic) -> None:
        used = ledger.fact(FACT) or {}
        self.seconds = float(used.get("seconds", 0.0))
        """Time in which at least one attempt ran."""
        self.trial_seconds = float(used.get("trial_seconds", 0.0))
        """Time of all attempts together."""
        self._search = search
        self._ledger = ledger
        self._emit = emit
        self._said = False
        self._clock = clock
        self._counted = self._written = clock()

    def count(self, running: Iterable[Attempt], *, write: bool = False) -> None:
        """Count the time since the last call for the attempts that ran in it; `write` when one of them has ended."""
        now = self._clock()
        spans = [now - max(self._counted, attempt.started) for attempt in running if attempt.started < now]
        self.seconds += max(spans, default=0.0)
        self.trial_seconds += sum(spans)
        self._counted = now
        if self._limits() and (write or now - self._written >= WRITTEN_EVERY):
            self._written = now
            self._ledger.append(FACT, seconds=round(self.seconds, 3), trial_seconds=round(self.trial_seconds, 3))

    def over(self, running: Iterable[Attempt]) -> bool:
        """Whether a limit is reached, with the time of the attempts that run; says so once."""
        self.count(running)
        spent = self._spent()
        if spent and not self._said:
            self._said = True
            self._emit(spent)
        return spent is not None

    def close(self) -> None:
        """Write down that the budget ended the search, if it did, and what was used in the end."""
        if self._said and (spent := self._spent()):
            self._ledger.append(ENDED, **asdict(spent))

    def _spent(self) -> BudgetSpent | None:
        return next((each for each in self._limits() if each.used >= each.limit), None)

    def _limits(self) -> list[BudgetSpent]:
        search = self._search
        limits = []
        if search.max_minutes is not None:
            limits.append(BudgetSpent("max_minutes", self.seconds / 60, search.max_minutes))
        if search.max_cost is not None and search.price_per_trial_hour is not None:
            limits.append(
                BudgetSpent("max_cost", self.trial_seconds / 3600 * search.price_per_trial_hour, search.max_cost)
            )
        return limits
