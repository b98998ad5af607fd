"""The section of the page on the trials: how they ended, the best first, repeats and charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ftkit import formatting
from ftkit.contracts import Trial
from ftkit.evaluation import metrics
from ftkit.evaluation.selection import spreads
from ftkit.formatting import count, printable
from ftkit.report import cost_charts, trial_charts
from ftkit.report.facts import Facts
from ftkit.report.svg import inline

TRIALS = 200
"""The most trials that are listed one by one."""


def search(facts: Facts) -> dict[str, Any]:
    """How the trials ended, as text, tables and charts."""
    title = metrics.TITLES.get(facts.metric, facts.metric)
    trials = list(facts.trials)
    counts = {end: sum(trial.state == state for trial in trials) for state, end in trial_charts.ENDS.items()}
    text = (
        f"{count(len(trials), 'trial')}: {', '.join(f'{number} {end}' for end, number in counts.items() if number)}."
        if trials
        else "No trial has ended."
    )
    if facts.started > len(trials):
        text += f" {facts.started - len(trials)} more had started."
    if facts.budget:
        text += f" {facts.budget}"
    winner = facts.winner
    if winner is not None and facts.metric in winner.metrics:
        text += (
            f" Trial {winner.number} was selected: {title} {formatting.score(winner.metrics[facts.metric])} on the "
            f"validation rows, in epoch {winner.epoch}."
        )
        if len(trials) > 1 and facts.preference is None:
            text += " The best of several trials looks better than it is: the test rows decide."
    names = list(dict.fromkeys(name for each in trials for name in each.values))
    ranked = sorted(trials, key=lambda each: _rank(each, facts.metric))
    shown = ranked[:TRIALS]
    return {
        "title": title,
        "text": text,
        "names": names,
        "hidden": len(ranked) - len(shown),
        "table": [_trial(each, names, facts) for each in shown],
        "repeats": _repeats(trials, facts),
        "preference": cost_charts.preference(facts.preference),
        "parallel": inline(trial_charts.parallel(trials, facts.metric, facts.best), "parallel"),
        "curves": inline(trial_charts.curves(trials, facts.metric, facts.best), "curves"),
    }


def _rank(trial: Trial, metric: str) -> tuple[bool, float, int]:
    """A trial's rank in the list: the best first, trials without a value last."""
    value = trial.metrics.get(metric)
    if value is None or not math.isfinite(value):
        return True, 0.0, trial.number
    return trial.state == "failed", -value if metrics.GREATER_IS_BETTER.get(metric, True) else value, trial.number


def _trial(trial: Trial, names: Sequence[str], facts: Facts) -> dict[str, Any]:
    value = trial.metrics.get(facts.metric)
    return {
        "number": trial.number,
        "chosen": trial.number == facts.best,
        "repeats": trial.repeats,
        "settings": [
            {
                "raw": repr(each) if isinstance(each, float | int) else printable(str(each)),
                "text": printable(formatting.value(each, 32)),
            }
            for each in (trial.values.get(name, "") for name in names)
        ],
        "score": value,
        "raw": "" if value is None or math.isnan(value) else repr(float(value)),
        "epoch": trial.epoch,
        "seconds": trial.seconds,
        "memory": trial.resources.get("memory_peak_mb"),
        "state": trial_charts.ENDS[trial.state],
        "error": trial.error,
    }


def _repeats(trials: Sequence[Trial], facts: Facts) -> list[dict[str, Any]]:
    """The trials that were repeated with other seeds, the best mean first."""
    winner = facts.winner
    chosen = (winner.number, winner.repeats) if winner is not None else ()
    return [
        {
            "spread": each,
            "chosen": each.number in chosen,
            "settings": formatting.values(each.values, 40),
        }
        for each in spreads(trials, facts.metric)
    ]
