"""Groups and times that test rows share with training: measured when rows are split, judged by the gate."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from ftkit_strict.preset import Strict
from ftkit_strict.split_leakage import SplitLeakage

from ftkit.contracts import Contender, Data, PromotionTest
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split
from ftkit.testing.promotion_tests import PromotionTestSuite


class TestSplitLeakage(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return SplitLeakage()


def rows(first: int, last: int, **options: Any) -> Rows:
    """A row a day; five rows of each user, one after another."""
    table = Rows(f"rows-{first}.csv")
    table.others = OtherColumns.choose([{"user": "u1", "day": "2024-01-01"}], (), **options)
    asked = table.others.names
    for number in range(first, last):
        draw = random.Random(number)
        values = {
            "user": f"u{number // 5}",
            "day": f"20{number // 336:02}-{1 + number // 28 % 12:02}-{1 + number % 28:02}",
        }
        table.add(" ".join(f"w{draw.randrange(5000)}" for _ in range(12)), "ab"[number % 2])
        table.others.add([values[name] for name in asked])
    return table


def candidate(bench: Any, data: Data) -> Contender:
    contender: Contender = bench.scored([0.9] * len(data.test), [1] * len(data.test))
    return replace(contender, data=data)


@pytest.mark.parametrize(
    ("option", "train", "test", "share"),
    [
        ({"group": "user"}, (0, 200), (200, 300), 0.0),
        ({"group": "user"}, (0, 202), (202, 302), 0.03),
        ({"time": "day"}, (0, 200), (200, 300), 0.0),
        ({"time": "day"}, (100, 300), (0, 100), 1.0),
        ({"time": "day"}, (200, 300), (190, 290), 0.98),
    ],
)
def test_files_that_came_split_are_judged_by_what_they_share(
    bench: Any, option: dict[str, str], train: tuple[int, int], test: tuple[int, int], share: float
) -> None:
    ((name, column),) = option.items()
    some = {"train": rows(*train, **option), "test": rows(*test, **option)}
    data = join(some, (), Rules(seed=1, near_copies="ignored", **option))
    verdict = SplitLeakage().check(candidate(bench, data), None)
    assert verdict.numbers[f"{name} {column}"] == pytest.approx(share, abs=0.03)
    assert verdict.status == ("passed" if share == 0 else "failed")
    assert repr(column) in verdict.sentence
    assert SplitLeakage(max_share=1.0).check(candidate(bench, data), None).status == "passed"


@pytest.mark.parametrize("option", [{"group": "user"}, {"time": "day"}])
def test_splits_of_ftkit_share_nothing(bench: Any, option: dict[str, str]) -> None:
    data = split(rows(0, 300, **option), (), Rules(seed=1, **option))
    verdict = SplitLeakage().check(candidate(bench, data), None)
    assert (verdict.status, {*verdict.numbers.values()}) == ("passed", {0.0, 0.01})


def test_without_a_column_to_keep_apart_it_does_not_apply_and_strict_brings_it(bench: Any) -> None:
    data = split(rows(0, 300, group="user"), (), Rules(seed=1))
    assert SplitLeakage().check(candidate(bench, data), None).status == "not applicable"
    assert "split-leakage" in [test.name for test in Strict().tests()]
