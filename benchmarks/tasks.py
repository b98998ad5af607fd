"""Tasks beside single labels, on real reviews: stars with and without their order, and two reviews of one product or not.

    python -m benchmarks tasks --data FILE [--rows 1200] [--seeds 3] [--only NAME ...] [--json FILE]

FILE is a reviews_*.json.gz of the UCSD archive. Stars: five classes, learnt as an order (`task = "ordinal"`) and as classes that
know nothing of each other. Pairs: every review is in one pair at most, half of the pairs are about one product; each side is
the first 60 words of a review. The model reads them as a pair (`join = "pair"`), or as one text. Training rows, validation and test
rows, and the linear model beside it, are those of `datasets`.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import command, datasets, turns
from benchmarks.results import Results, summary

WORDS = 60
MEASURED = {
    "quadratic_kappa": "quadratic kappa",
    "mae": "mean error in stars",
    "accuracy": "test accuracy",
    "macro_f1": "test macro F1",
}


@dataclass(frozen=True)
class Recipe:
    """A table of `written`, and how it is read."""

    table: str
    options: str
    further: list[str]
    """Metrics beside those of `datasets`."""


ORDERED = ["quadratic_kappa", "mae", "accuracy"]
RECIPES: dict[str, Recipe] = {
    "stars_ordinal": Recipe("stars", 'text = "text", label = "stars", task = "ordinal"', ORDERED),
    "stars_single": Recipe("stars", 'text = "text", label = "stars", task = "single-label"', ORDERED),
    "pairs_pair": Recipe("pairs", 'text = ["first", "second"], label = "same", join = "pair"', ["accuracy"]),
    "pairs_joined": Recipe("pairs", 'text = ["first", "second"], label = "same", join = "lines"', ["accuracy"]),
}


def main(arguments: Sequence[str]) -> None:
    """Measure, print the table, write the JSON."""
    parser = command.parser("tasks", __doc__, 1_200, "training rows")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    parser.add_argument("--only", nargs="+", choices=tuple(RECIPES), default=list(RECIPES), help="some of them")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="override values of all recipes")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error("--data is needed: a reviews_*.json.gz of the UCSD archive")
    results = Results("tasks", command.settings(options))
    with tempfile.TemporaryDirectory() as folder:
        recipes = written(options.data, Path(folder))
        chosen = {
            name: datasets.contender(recipes[name], options.set, options.rows, RECIPES[name].further)
            for name in options.only
        }
        for name, runs in turns.rounds(chosen, options.seeds).items():
            results.contenders[name] = summary(runs)
    results.show(
        {
            "train_rows": "rows",
            "epochs": "epochs",
            "max_length": "max_length",
            **MEASURED,
            **datasets.BESIDE_LINEAR,
            "seconds": "seconds of training",
        }
    )
    results.write(options.json)


def written(reviews: Path, folder: Path) -> dict[str, Path]:
    """Write the tables and a recipe for each contender; the recipes by name."""
    tables = {"stars": stars, "pairs": pairs}
    with gzip.open(reviews, "rt", encoding="utf-8") as lines:
        found = [row for row in map(json.loads, lines) if row["reviewText"].strip()]
    for name, rows in tables.items():
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows(found))
    recipes = {name: folder / f"{name}.toml" for name in RECIPES}
    for name, path in recipes.items():
        table = json.dumps(str(folder / f"{RECIPES[name].table}.jsonl"))
        dataset = f'dataset = {{ use = "table", path = {table}, {RECIPES[name].options} }}'
        path.write_text(f'{dataset}\nbackbone.use = "minilm"\n', encoding="utf-8")
    return recipes


def stars(reviews: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The text of each review, and its stars from 1 to 5."""
    return ({"text": row["reviewText"], "stars": int(row["overall"])} for row in reviews)


def pairs(reviews: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Pairs of reviews, half of them about one product; no review is in two pairs."""
    products: dict[str, list[str]] = defaultdict(list)
    for row in reviews:
        products[row["asin"]].append(" ".join(row["reviewText"].split()[:WORDS]))
    halves: list[tuple[str, str, str]] = []
    for product, texts in products.items():
        halves += [(product, first, second) for first, second in zip(texts[::2], texts[1::2], strict=False)]
    same, others = halves[::2], halves[1::2]
    for _, first, second in same:
        yield {"first": first, "second": second, "same": "yes"}
    shift = len(others) // 2
    for (product, first, _), (other, _, second) in zip(others, others[shift:] + others[:shift], strict=True):
        if product != other:
            yield {"first": first, "second": second, "same": "no"}
