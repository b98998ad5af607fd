"""The splits of rows that are in memory and of rows that are on the disk are the same, and those that ftkit has always made."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from ftkit.contracts import Data
from ftkit.data import shared_shingles, shingle_sets, texts
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import Rows
from ftkit.data.rules import Rules
from ftkit.data.splits import join, split

WORDS = [
    f"{first}{second}" for first in "bdfgklmnprst" for second in ("a", "e", "io", "ou", "ei\u00df", "\u00c9", "\u6f22")
]
Line = tuple[str, str | None, str, str]


def lines(seed: int, count: int) -> list[Line]:
    """Made-up rows with empty texts, duplicates, contradictions, near copies and odd characters in them."""
    chance = random.Random(seed)
    made: list[Line] = []
    for number in range(count):
        kind = chance.random()
        words = [WORDS[int(len(WORDS) * chance.random() ** 2)] for _ in range(3 + int(30 * chance.random()))]
        if kind < 0.02:
            text = " \t" * int(3 * kind * 50)
        elif kind < 0.1 and made:
            text = made[int(chance.random() * len(made))][0].swapcase() + "  "
        elif kind < 0.25 and made:
            near = made[int(chance.random() * len(made))][0].split()
            text = " ".join([*near[:-1], words[0]])
        elif kind < 0.27:
            text = f"{' '.join(words)} \ud83d"
        else:
            text = " ".join(words)
        label = None if chance.random() < 0.02 else ("one", "two", "three")[int(3 * chance.random() ** 2)]
        day = 1 + number % 28
        made.append((text, label, f"writer {int(count / 5 * chance.random())}", f"2024-{1 + number % 12:02}-{day:02}"))
    return made


def read(some: list[Line], source: str, rules: Rules) -> Rows:
    rows = Rows(source, label_column="label")
    others = [{"writer": line[2], "day": line[3]} for line in some]
    rows.others = OtherColumns.choose(others[:200], (), rules.group, rules.time)
    for (text, label, *_), other in zip(some, others, strict=True):
        rows.add(text, label, length=len(text))
        rows.others.add([other[name] for name in rows.others.names])
    return rows


def loaded(seed: int, count: int, given: tuple[str, ...], options: dict[str, Any]) -> Data:
    rules = Rules(seed=seed, **options)
    some = lines(seed, count)
    if not given:
        return split(read(some, "rows.csv", rules), (), rules)
    parts = {name: some[number :: len(given)] for number, name in enumerate(given)}
    return join({name: read(part, f"{name}.csv", rules) for name, part in parts.items()}, (), rules)


CASES: dict[str, tuple[int, int, tuple[str, ...], dict[str, Any]]] = {
    "few": (1, 40, (), {}),
    "many": (2, 1500, (), {}),
    "sample": (3, 600, (), {"rows": 100, "shares": (0.5, 0.2, 0.3)}),
    "near copies ignored": (4, 300, (), {"near_copies": "ignored"}),
    "groups": (5, 400, (), {"group": "writer"}),
    "in time": (6, 400, (), {"order": "day"}),
    "rare classes left out": (7, 200, (), {"min_rows": 30}),
    "train and test": (8, 500, ("train", "test"), {}),
    "all three": (9, 500, ("train", "valid", "test"), {}),
    "groups of train and test": (10, 300, ("train", "test"), {"group": "writer"}),
}

PINNED = {
    "few": "05f08792fa47c63d",
    "many": "de9b164a08860134",
    "sample": "3df24e0fb00ca340",
    "near copies ignored": "1c55146964048cc5",
    "groups": "10bdb2bce89af5a2",
    "in time": "258822cbac1098ef",
    "rare classes left out": "e6bf19ba56838aaf",
    "train and test": "aa1b7ddefd8058aa",
    "all three": "de457155ab1004c2",
    "groups of train and test": "344e9235914469aa",
}
"""What ftkit made of these rows when it kept all of them in memory."""

LATER = ("rows", "shared")
"""Fields that reports have only since then."""
RENAMED = {'with time = \\"': 'with order = \\"', "leave time out": "leave order out"}
"""An option in a sentence, by its name now and then."""


ON_DISK = (
    (texts, "IN_MEMORY", 1000),
    (texts, "PART", 300),
    (shared_shingles, "IN_MEMORY", 1000),
    (shared_shingles, "WRITTEN", 700),
    (shingle_sets, "IN_MEMORY", 1000),
    (shingle_sets, "TEXTS", 50),
)


def digest(data: Data) -> str:
    """Of everything that is loaded: rows in their order, and the report."""
    report = replace(data.report, dropped=dict(sorted(data.report.dropped.items())))
    rows = [
        [list(part.texts), list(part.labels), list(part.columns["length"])]
        for part in (data.train, data.valid, data.test)
    ]
    content = [rows, [getattr(report, name) for name in report.__dataclass_fields__ if name not in LATER]]
    written = json.dumps(content)
    for now, then in RENAMED.items():
        written = written.replace(now, then)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on the disk"])
def test_splits_and_report_are_those_that_ftkit_has_always_made(
    name: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        for module, constant, value in ON_DISK:
            monkeypatch.setattr(module, constant, value)
    assert digest(loaded(*CASES[name])) == PINNED[name]
