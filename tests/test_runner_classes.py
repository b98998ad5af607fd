"""A class that the registered champion does not know: the run compares the two on the rows that both know, and says so."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit.contracts import Outcome
from ftkit.events import Event, Noticed
from ftkit.recipe import loader
from ftkit.runs import ledger
from tests import recipes

RECIPE = """
name = "tickets"
seed = 7

[dataset]
use = "table"
path = "tickets.csv"

[backbone]
use = "toy-words"

[search]
metric = "macro_f1"
trials = 1

[[promote]]
use = "no-worse-than-champion"

[[promote]]
use = "beats-champion"

[registry]
use = "mlflow"
model = "tickets"
"""

WORDS = {
    "billing": ["invoice", "refund", "price", "card", "charge"],
    "shipping": ["parcel", "courier", "late", "address", "box"],
    "returns": ["broken", "exchange", "label", "size", "back"],
}


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    with recipes.written(tmp_path, RECIPE) as path:
        yield path


def write_tickets(folder: Path, classes: list[str]) -> None:
    """120 tickets of each class, of four words of their own and five of any class; the same ones each time."""
    words = random.Random(3)
    every = [word for each in WORDS.values() for word in each]
    rows = [
        f"{' '.join([*words.choices(WORDS[label], k=4), *words.choices(every, k=5)])} {number},{label}"
        for label in WORDS
        for number in range(120)
        if label in classes
    ]
    (folder / "tickets.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")


def test_a_third_class_is_added_to_a_champion_of_two(recipe: Path) -> None:
    def run(**overrides: Any) -> tuple[Outcome, list[Event]]:
        emitted: list[Event] = []
        return ftkit.run(
            recipe, {f"backbone.{name}": each for name, each in overrides.items()}, emit=emitted.append
        ), emitted

    write_tickets(recipe.parent, ["billing", "shipping"])
    first, _ = run(epochs=1, learning_rate=0.001)
    assert first.promoted
    assert first.version is not None

    write_tickets(recipe.parent, [*WORDS])
    second, emitted = run(epochs=20)
    assert ftkit.load(second.bundle).classes == ("billing", "returns", "shipping")
    assert second.promoted, [each.sentence for each in second.verdicts]
    assert second.champion is not None
    assert second.champion.version == first.version.version
    champion = loader.load(recipe).registry.champion()
    assert champion is not None
    assert second.version is not None
    assert (champion.version, champion.bundle_hash) == (second.version.version, second.version.bundle_hash)

    counts = ledger.find(second.run).data(()).report.counts["test"]
    left_out = (
        f"without {counts['returns']} rows of the class 'returns', new since champion version {first.version.version}"
    )
    page = (second.bundle.parent / "report.html").read_text(encoding="utf-8")
    for verdict in second.verdicts:
        assert verdict.status == "passed"
        assert left_out in verdict.sentence
    assert page.count(left_out.replace("'", "&#39;")) == 2
    notices = [each.text for each in emitted if isinstance(each, Noticed)]
    assert [each for each in notices if "does not know 'returns': the two are compared on the other test rows" in each]
