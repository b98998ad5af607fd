"""The bandit policy: what it saves in twenty trials, and whether the same trial wins.

    python -m benchmarks search [--data PATH] [--rows N] [--trials N] [--rounds N] [--json FILE]

The same twenty trials, values and seeds alike, are run twice by ftkit's own search on this machine, one after another:
to their end, and stopped early by the bandit policy (slack factor 0.1, checked after every epoch). Learning rates are
drawn between values that learn almost nothing and values that diverge, and batches have three sizes. Compute is
reported as epochs trained, which decides the cost of long trials, and as seconds of the trials' processes, which short
trials mostly spend on starting. Each search is a process of its own, and each round has another seed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks import command, recipe_run, results, rows
from benchmarks.turns import Numbers, measured, rounds

POLICIES = {"without_policy": {"use": "none"}, "bandit": {"use": "bandit", "slack_factor": 0.1, "interval": 1}}

COLUMNS = {
    "epochs_trained": "epochs trained",
    "trial_seconds": "s of trials",
    "seconds": "s in all",
    "seconds_to_winner": "s to the winner",
    "stopped": "stopped",
    "best": "winner's value",
    "winner": "winner",
    "same_winner": "same winner",
}


def main(arguments: Sequence[str]) -> None:
    """Search twice a round, judge by the bars, show and write."""
    parser = command.parser("search", __doc__, 500, "rows of the data set, validation rows included")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--length", type=int, default=32, help="tokens of a text that are read")
    parser.add_argument("--metric", default="macro_f1", help="what trials are judged by")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args(arguments)
    report = results.Results("search", command.settings(options))

    def recipe(policy: dict[str, Any], seed: int) -> dict[str, Any]:
        return {
            "name": "search",
            "seed": seed,
            "dataset": rows.section(options.data, options.rows),
            "backbone": {"use": "minilm", "epochs": options.epochs, "max_length": options.length},
            "search": {
                "metric": options.metric,
                "trials": options.trials,
                "concurrency": 1,
                "confirm": False,
                "policy": policy,
                "space": {
                    "learning_rate": {"low": 1e-5, "high": 3e-3, "log": True},
                    "batch_size": [8, 16, 32],
                },
            },
            "run": {"on": "local"},
        }

    runs = rounds(
        {
            name: lambda number, policy=policy: measured(  # type: ignore[misc]
                "benchmarks.search:searched", recipe=recipe(policy, rows.SEED + number)
            )
            for name, policy in POLICIES.items()
        },
        options.rounds,
    )
    judge(report, runs)
    report.notes.append(
        f"{options.trials} trials of {options.epochs} epochs on {options.rows} rows of up to {options.length} tokens, one at a time; "
        f"judged by {options.metric}; {options.rounds} rounds."
    )
    report.show(COLUMNS)
    report.write(options.json)


def searched(recipe: dict[str, Any]) -> Numbers:
    """Run a recipe's search and return what it cost; in a process of its own, since FTKIT_HOME is set."""
    from ftkit import events

    ended: dict[int, float] = {}
    seconds: dict[str, float] = {}
    start = [0.0]

    def record(event: events.Event) -> None:
        match event:
            case events.SearchStarted():
                start[0] = time.perf_counter()
            case events.TrialFinished(trial):
                ended[trial.number] = time.perf_counter() - start[0]
            case events.StageFinished(stage, spent):
                seconds[stage] = spent

    outcome = recipe_run.run(recipe, record)
    metric = recipe["search"]["metric"]
    return {
        "epochs_trained": sum(len(trial.history) for trial in outcome.trials),
        "trial_seconds": sum(trial.seconds for trial in outcome.trials),
        "cpu_seconds": sum(trial.seconds * trial.resources.get("cpu_percent", 0) / 100 for trial in outcome.trials),
        "seconds": seconds["search"],
        "seconds_to_winner": ended[outcome.best.number],
        "stopped": sum(trial.state == "stopped" for trial in outcome.trials),
        "best": outcome.best.metrics[metric],
        "winner": outcome.best.number,
        "values": [
            {"number": each.number, "state": each.state, **each.values, metric: each.metrics.get(metric)}
            for each in outcome.trials
        ],
    }


def judge(report: results.Results, runs: dict[str, list[Numbers]]) -> None:
    """Compare the searches of each round, then the bars."""
    whole, bandit = (runs[name] for name in POLICIES)
    for one, other in zip(bandit, whole, strict=True):
        one["same_winner"] = int(one["winner"] == other["winner"])
        one["winner_behind"] = other["best"] - one["best"]
    report.contenders = {name: results.summary(some) for name, some in runs.items()}
    base, bandit_numbers = (report.contenders[name] for name in POLICIES)
    for name, what in (("epochs_trained", "epochs"), ("trial_seconds", "seconds of trials")):
        report.bars.append(
            results.Bar(
                f"compute, {what}, of the search without policy",
                "bandit",
                results.ratio(bandit_numbers, base, name),
                most=0.5,
            )
        )
    report.bars.append(
        results.Bar("winner's distance", "bandit", max(abs(each["winner_behind"]) for each in bandit), most=0.005)
    )
