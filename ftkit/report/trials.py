"""How the trials ended: ranked, trained again with other seeds, drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ftkit import formatting
from ftkit.contracts import Trial
from ftkit.evaluation import metrics
from ftkit.evaluation.selection import spreads
from ftkit.formatting import count, printable
from ftkit.report import charts
from ftkit.report.facts import Facts
from ftkit.report.svg import inline

TRIALS = 200
"""Trials listed one by one."""


def search(facts: Facts) -> dict[str, Any]:
    """The trials: how they ended, ranked, drawn."""
    title = metrics.TITLES.get(facts.metric, facts.metric)
    trials = list(facts.trials)
    ended = {state: sum(each.state == state for each in trials) for state in ("finished", "stopped", "failed")}
    named = {"finished": "finished", "stopped": "stopped early", "failed": "failed"}
    said = (
        f"{count(len(trials), 'trial')}: {', '.join(f'{n} {named[state]}' for state, n in ended.items() if n)}."
        if trials
        else ("No trial has come to its end.")
    )
    if facts.started > len(trials):
        said += f" {facts.started - len(trials)} more had begun."
    winner = facts.winner
    if winner is not None and facts.metric in winner.metrics:
        said += (
            f" Trial {winner.number} was selected: {title} {formatting.score(winner.metrics[facts.metric])} on the validation "
            f"rows, in epoch {winner.epoch}. Being the best of several, that number flatters it; the test rows decide."
        )
    names = list(dict.fromkeys(name for each in trials for name in each.values))
    ranked = sorted(trials, key=lambda each: _place(each, facts.metric))
    shown = ranked[:TRIALS]
    return {
        "title": title,
        "said": said,
        "names": names,
        "hidden": len(ranked) - len(shown),
        "table": [_trial(each, names, facts) for each in shown],
        "repeats": _repeats(trials, facts),
        "parallel": inline(charts.parallel(trials, facts.metric, facts.best), "parallel"),
        "curves": inline(charts.curves(trials, facts.metric, facts.best), "curves"),
    }


def _place(trial: Trial, metric: str) -> tuple[bool, float, int]:
    """Where a trial stands in the list: the best first, those without a value last."""
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
                "said": printable(formatting.value(each, 32)),
            }
            for each in (trial.values.get(name, "") for name in names)
        ],
        "score": value,
        "raw": "" if value is None or math.isnan(value) else repr(float(value)),
        "epoch": trial.epoch,
        "seconds": trial.seconds,
        "memory": trial.resources.get("memory_peak_mb"),
        "state": "stopped early" if trial.state == "stopped" else trial.state,
        "error": trial.error,
    }


def _repeats(trials: Sequence[Trial], facts: Facts) -> list[dict[str, Any]]:
    """Trials that were trained again with other seeds, the best mean first."""
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
