"""Test accuracy by the way long texts are read: MiniLM on BBC News, whose articles have 384 words in the mean.

    python -m benchmarks long_texts [--rows 400] [--max-length 128] [--seeds 3] [--json FILE]

All ways train on the same rows by the options below, in turn for each seed; the weights kept are those of the best epoch
on 60 validation rows. The test rows are used once for each training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks import command, rows, turns
from benchmarks.results import Results, summary
from benchmarks.turns import Numbers

WAYS: dict[str, dict[str, Any]] = {
    "head": {},
    "head-tail": {"long_texts": "head-tail"},
    "windows": {"long_texts": "windows"},
}
OPTIONS: dict[str, Any] = {"learning_rate": 2e-4, "epochs": 4, "batch_size": 16}
VALIDATION_ROWS = 60


def main(arguments: Sequence[str]) -> None:
    """Measure, print the table, write the JSON."""
    parser = command.parser("long_texts", __doc__, 400, "training rows")
    parser.add_argument("--test-rows", type=int, default=400, metavar="N", help="test rows (default: 400)")
    parser.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens of a row (default: 128)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way (default: 3)")
    options = parser.parse_args(arguments)
    from ftkit.encoders.process_environment import process_environment
    from ftkit.hardware import cores

    def contender(way: str) -> Any:
        def run(number: int) -> Numbers:
            given = {"path": options.data and str(options.data), "count": options.rows, "tested": options.test_rows}
            environment = process_environment(cores())
            length = options.max_length
            return turns.measured(
                "benchmarks.long_texts:trained", environment, way=way, length=length, seed=number + 1, **given
            )

        return run

    results = Results("long_texts", command.settings(options))
    for way, runs in turns.rounds({way: contender(way) for way in WAYS}, options.seeds).items():
        results.contenders[way] = summary(runs)
    results.show(
        {
            "accuracy": "test accuracy",
            "macro_f1": "test macro F1",
            "log_loss": "test log loss",
            "read": "tokens read",
            "train_rows": "training rows",
            "seconds": "seconds of training",
            "test_seconds": "seconds of the test rows",
        }
    )
    results.write(options.json)


def trained(way: str, path: str | None, count: int, tested: int, length: int, seed: int) -> Numbers:
    """Train once, and use the test rows once."""
    from pathlib import Path

    import numpy as np
    from ftkit_quickstart.minilm import MiniLM

    from ftkit.evaluation import metrics

    whole = rows.dataset(Path(path) if path else None).load(rows.SEED, lambda _: None)
    sizes = {"train": count, "valid": VALIDATION_ROWS, "test": tested}
    splits = {name: getattr(whole, name) for name in sizes}
    data = replace(whole, **{name: rows.sample(each, min(sizes[name], len(each))) for name, each in splits.items()})
    encoder = MiniLM(max_length=length, **OPTIONS, **WAYS[way])
    valid, test = (np.asarray(split.labels) for split in (data.valid, data.test))
    best = -1.0

    def report(_epoch: int, probabilities: Any, **_numbers: float) -> bool:
        nonlocal best
        value = metrics.score("macro_f1", probabilities, valid)
        better, best = value > best, max(value, best)
        return better

    begun = time.perf_counter()
    classifier = encoder.fit(data.without_test(), seed, report)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    answers = classifier.probabilities(data.test.texts)
    test_seconds = time.perf_counter() - begun
    tokens = encoder.inspect(data).tokens
    return {
        **{metric: metrics.score(metric, answers, test) for metric in ("accuracy", "macro_f1", "log_loss")},
        "read": tokens[f"read_{way.replace('-', '_')}"],
        "train_rows": len(data.train),
        "test_rows": len(data.test),
        "seconds": seconds,
        "test_seconds": test_seconds,
    }
