"""A trial of two processes against one of a single process, on the cores of this machine.

    python -m benchmarks processes [--data PATH] [--rows N] [--epochs N] [--rounds N] [--json FILE]

MiniLM in the number format that a trial would choose, 128 tokens, batches of 16, by `[run] processes = 1` and `2` of the
platform `local`, in turns: each process of the second has half of the cores. Rows a second are those of the last epoch, and
memory is that of all processes of the trial.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from benchmarks import command, recipe_run, results, rows
from benchmarks.turns import Numbers, measured, rounds

COLUMNS = {"rows_per_s": "rows/s", "seconds": "s of the trial", "peak_memory_mb": "peak MB", "roc_auc": "AUC"}
CONTENDERS = {"one process": 1, "two processes": 2}


def main(arguments: Sequence[str]) -> None:
    """Train in turns, show and write."""
    parser = command.parser("processes", __doc__, 800, "rows of the data set, validation rows included")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    report = results.Results("processes", command.settings(options))
    recipe = {
        "name": "processes",
        "seed": rows.SEED,
        "dataset": rows.section(options.data, options.rows),
        "backbone": {"use": "minilm", "epochs": options.epochs, "batch_size": 16, "max_length": 128},
        "search": {"metric": "roc_auc", "trials": 1, "confirm": False, "space": {"learning_rate": [2e-4]}},
    }
    contenders = {name: functools.partial(_trial, recipe, count) for name, count in CONTENDERS.items()}
    measurements = rounds(contenders, options.rounds)
    report.contenders = {name: results.summary(some) for name, some in measurements.items()}
    one, two = (report.contenders[name] for name in CONTENDERS)
    report.notes.append(f"Two processes do {results.ratio(two, one, 'rows_per_s'):.2f} of the rows a second of one.")
    report.show(COLUMNS)
    report.write(options.json)


def _trial(recipe: dict[str, Any], processes: int, _: int) -> Numbers:
    return measured("benchmarks.processes:trained", recipe={**recipe, "run": {"on": "local", "processes": processes}})


def trained(recipe: dict[str, Any]) -> Numbers:
    """Run the recipe's one trial; in a process of its own, since FTKIT_HOME is set."""
    (trial,) = recipe_run.run(recipe).trials
    return {
        "rows_per_s": trial.history[-1]["rows_per_second"],
        "seconds": trial.seconds,
        "peak_memory_mb": trial.resources["memory_peak_mb"],
        "roc_auc": trial.metrics["roc_auc"],
    }
