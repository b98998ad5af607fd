"""Quality of a recipe's backbone beside linear models, on every data set in a folder of recipes.

    python -m benchmarks datasets --folder DIR [--only NAME ...] [--rows 1200] [--metrics METRIC ...] [--seeds 1] [--json FILE]

DIR holds recipes (*.toml); of each, data set and backbone are used, without a search. Training rows are a sample of
--rows, as few rows are where defaults matter; the weights kept are those of the best epoch on the validation rows, by the
metric of the task. The test rows are used once for each seed. `linear` is the backbone of that name; logistic regression,
which knows one label a text, reads words and pairs of words, or 2 to 5 characters within words. The difference from `linear` has
an interval of 95 %, as that of the promotion test `beats-baseline`. --metrics adds others, such as
those of an order of classes to a recipe that has none, so that both can be compared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import command, rows, turns
from benchmarks.results import Results, summary
from benchmarks.turns import Numbers
from ftkit.contracts import Adapting, Data
from ftkit.evaluation.metrics import TITLES

VALIDATION_ROWS = 300
TEST_ROWS = 1_500
BESIDE_LINEAR = {
    "linear": "of `linear`, by its task's metric",
    "difference": "difference",
    "difference_low": "at least",
    "difference_high": "at most",
}
BASELINES: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2)},
    "characters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}


def main(arguments: Sequence[str]) -> None:
    """Measure, print the table, write the JSON."""
    parser = command.plain("datasets", __doc__)
    parser.add_argument(
        "--folder", type=command.there, required=True, metavar="DIR", help="the folder that holds the recipes"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="recipes by their names without .toml (default: all)")
    parser.add_argument("--rows", type=int, default=1_200, metavar="N", help="training rows (default: 1200)")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (default: 1)")
    parser.add_argument("--metrics", nargs="+", default=[], metavar="METRIC", help="further metrics of the test rows")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="override values of all recipes")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results, machine and versions to this file"
    )
    options = parser.parse_args(arguments)
    recipes = [path for path in sorted(options.folder.glob("*.toml")) if not options.only or path.stem in options.only]
    if not recipes:
        parser.error(f"there is no such recipe in {options.folder}")
    contenders = {path.stem: contender(path, options.set, options.rows, options.metrics) for path in recipes}
    results = Results("datasets", command.settings(options))
    for name, runs in turns.rounds(contenders, options.seeds).items():
        results.contenders[name] = summary(runs)
    results.show(
        {
            "classes": "classes",
            "train_rows": "rows",
            "median_words": "words a text",
            "epochs": "epochs",
            "max_length": "max_length",
            "cut": "texts cut",
            "unknown": "tokens unknown",
            **{
                metric: TITLES[metric]
                for metric in TITLES
                if any(metric in each for each in results.contenders.values())
            },
            **BESIDE_LINEAR,
            "words_f1": "macro F1 of words",
            "characters_f1": "of characters",
            "seconds": "seconds of training",
        }
    )
    results.write(options.json)


def contender(recipe: Path, overrides: list[str], count: int, further: list[str]) -> Callable[[int], Numbers]:
    """Measures a recipe in a process of its own, in each round with another seed; see `compared`."""
    from ftkit.encoders.process_environment import process_environment
    from ftkit.hardware import cores

    given: dict[str, Any] = {
        "recipe": str(recipe.resolve()),
        "overrides": overrides,
        "count": count,
        "further": further,
    }

    def run(number: int) -> Numbers:
        environment = process_environment(cores())
        return turns.measured("benchmarks.datasets:compared", environment, **given, seed=number + 1)

    return run


def compared(recipe: str, overrides: list[str], count: int, further: list[str], seed: int) -> Numbers:
    """Train the backbone and the linear models on the same rows, and use the test rows once."""
    from ftkit_linear.backbone import Linear

    from ftkit.contracts.tasks import DEFAULT_METRICS
    from ftkit.evaluation import metrics, paired_comparison
    from ftkit.evaluation.decisions import targets
    from ftkit.recipe import loader
    from ftkit.runs import preparation

    plan = loader.load(recipe, overrides)
    data = sampled(plan.dataset.load(plan.seed, lambda _: None), count)
    training = preparation.inspected(plan, data.without_test())
    backbone: Any = plan.backbone
    metric = DEFAULT_METRICS[data.task]
    valid, test = (targets(split.labels, len(data.classes), data.task) for split in (data.valid, data.test))
    best = -math.inf

    def report(_epoch: int, probabilities: Any, **_numbers: float) -> bool:
        nonlocal best
        value = metrics.score(metric, probabilities, valid)
        better, best = value > best, max(value, best)
        return better

    begun = time.perf_counter()
    if isinstance(backbone, Adapting):
        backbone = backbone.adapted(training)
    classifier = backbone.fit(training, seed, report)
    numbers: Numbers = {"seconds": time.perf_counter() - begun}
    answers = classifier.probabilities(data.test.texts)
    for each in dict.fromkeys((metric, "macro_f1", *further)):
        numbers[each] = metrics.score(each, answers, test)
    linear = Linear().fit(training, seed, lambda *_, **__: True).probabilities(data.test.texts)
    numbers["linear"] = metrics.score(metric, linear, test)
    pair = paired_comparison.compare(metric, answers, linear, test, seed=seed, resamples=2_000)
    numbers["difference"] = pair.difference
    numbers["difference_low"], numbers["difference_high"] = pair.interval(0.95)
    for name, features in BASELINES.items() if data.task == "single-label" else ():
        begun = time.perf_counter()
        numbers[f"{name}_f1"] = metrics.score("macro_f1", _regression(data, features), test)
        numbers[f"{name}_seconds"] = time.perf_counter() - begun
    sizes = {"train_rows": len(data.train), "test_rows": len(data.test), "classes": len(data.classes)}
    chosen = {name: getattr(backbone, name, None) for name in ("epochs", "batch_size", "max_length")}
    return {
        **numbers,
        **sizes,
        **chosen,
        **training.report.tokens,
        f"valid_{metric}": best,
        "median_words": data.report.lengths["p50"],
    }


def sampled(data: Data, count: int) -> Data:
    """This many training rows at most, and few enough others to be quick."""
    most = {"train": count, "valid": VALIDATION_ROWS, "test": TEST_ROWS}
    splits = {name: getattr(data, name) for name in most}
    return replace(data, **{name: rows.sample(each, min(most[name], len(each))) for name, each in splits.items()})


def _regression(data: Data, features: dict[str, Any]) -> Any:
    """Probabilities of the test rows, (rows, classes); a class without training rows has none."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, **features), LogisticRegression(C=10, max_iter=1_000))
    model.fit(list(data.train.texts), np.asarray(data.train.labels))
    probabilities = np.zeros((len(data.test), len(data.classes)))
    probabilities[:, model.classes_] = model.predict_proba(list(data.test.texts))
    return probabilities
