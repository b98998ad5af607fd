"""The promotion gate: what counts as a verdict, and what is said of classes before the verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from ftkit.contracts import Contender, Split, Verdict
from ftkit.stages import gate
from ftkit.testing.promotion_tests import Fixed, make_contender, make_data


@dataclass(frozen=True)
class Returns:
    """A promotion test that gives back whatever it was made with."""

    name: ClassVar[str] = "returns"
    value: Any

    def check(self, candidate: Contender, champion: Contender | None) -> Any:
        return self.value() if isinstance(self.value, Exits) else self.value


@dataclass(frozen=True)
class Exits:
    """Something that raises when the test runs."""

    error: BaseException

    def __call__(self) -> None:
        raise self.error


@dataclass(frozen=True)
class Special(Verdict):
    """A verdict of a plugin's own class."""

    more: str = ""


PASSED = Verdict("returns", "passed", "fine")


def verdict_of(value: Any, folder: Path) -> Verdict:
    ledger: Any = SimpleNamespace(folder=folder)
    test: Any = Returns(value)
    return gate._run_test(test, make_contender(make_data()), None, ledger)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ", not Verdict"),
        ("passed", ", not Verdict"),
        ({"status": "passed", "sentence": "fine"}, ", not Verdict"),
        ([PASSED], ", not Verdict"),
        ((PASSED, PASSED), ", not Verdict"),
        (True, ", not Verdict"),
        (Verdict, ", not Verdict"),
        (replace(PASSED, status="ok"), "it gave no verdict but"),  # type: ignore[arg-type]  # what a plugin may do
        (replace(PASSED, status=True), "it gave no verdict but"),  # type: ignore[arg-type]
        (replace(PASSED, status=["passed"]), "it gave no verdict but"),  # type: ignore[arg-type]
        (replace(PASSED, sentence=None), "no sentence but None"),  # type: ignore[arg-type]
        (replace(PASSED, sentence=" \n"), "no sentence"),
        (replace(PASSED, sentence=3), "no sentence but 3"),  # type: ignore[arg-type]
        (replace(PASSED, test=None), "must be texts"),  # type: ignore[arg-type]
        (replace(PASSED, figure=b"<svg/>"), "must be texts"),  # type: ignore[arg-type]
        (replace(PASSED, numbers=None), "not numbers by name"),  # type: ignore[arg-type]
        (replace(PASSED, numbers=[0.5]), "not numbers by name"),  # type: ignore[arg-type]
        (replace(PASSED, numbers={"value": "0.5"}), "the number value of its verdict is '0.5'"),  # type: ignore[dict-item]
        (replace(PASSED, numbers={"value": None}), "the number value of its verdict is None"),  # type: ignore[dict-item]
        (replace(PASSED, numbers={"value": np.array([1.0, 2.0])}), "the number value"),  # type: ignore[dict-item]
        (replace(PASSED, numbers={"value": math.nan}), "the number value of its verdict is nan"),
        (replace(PASSED, numbers={"value": -math.inf}), "the number value of its verdict is -inf"),
        (replace(PASSED, numbers={"value": np.float32("nan")}), "the number value of its verdict is nan"),
        (Exits(KeyError("weights")), "weights"),
        (Exits(SystemExit(0)), "it broke off"),
    ],
)
def test_what_is_no_verdict_is_an_error_that_says_what_it_is(value: Any, words: str, tmp_path: Path) -> None:
    verdict = verdict_of(value, tmp_path)
    assert (verdict.test, verdict.status) == ("returns", "error")
    assert words in verdict.sentence
    assert "\n" not in verdict.sentence


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (PASSED, {}),
        (Special("returns", "passed", "fine", more="x"), {}),
        (replace(PASSED, numbers={"value": np.float32(0.5), "rows": np.int64(3)}), {"value": 0.5, "rows": 3.0}),
        (replace(PASSED, numbers={"met": True, 7: 1}), {"met": 1.0, "7": 1.0}),  # type: ignore[dict-item]
    ],
)
def test_a_verdict_is_stored_with_plain_numbers(value: Verdict, numbers: dict[str, float], tmp_path: Path) -> None:
    verdict = verdict_of(value, tmp_path)
    assert (verdict.status, verdict.sentence) == ("passed", "fine")
    assert dict(verdict.numbers) == numbers
    assert all(type(each) is float for each in verdict.numbers.values())


def test_a_sentence_is_one_line(tmp_path: Path) -> None:
    assert verdict_of(replace(PASSED, sentence="one\n two "), tmp_path).sentence == "one two"


CHAMPION: Callable[..., Contender] = lambda *classes: replace(  # noqa: E731
    make_contender(make_data(), "champion version 2"), classifier=Fixed(classes, 0.6)
)


@pytest.mark.parametrize(
    ("champion", "notices"),
    [
        (None, []),
        (CHAMPION("good", "fair", "bad"), []),
        (
            CHAMPION("good", "bad"),
            ["Champion version 2 does not know 'fair': the two are compared on the other test rows"],
        ),
        (CHAMPION("good", "fair", "bad", "odd"), ["The candidate does not know 'odd' of champion version 2"]),
        (
            CHAMPION("good\u200b", "fair", "bad"),
            ["by champion version 2: 'good\\u200b' is now 'good'. Callers get the new names."],
        ),
        (
            CHAMPION("no", "fair", "bad"),
            ["The candidate does not know 'no'", "Champion version 2 does not know 'good'"],
        ),
    ],
)
def test_a_champion_with_other_classes_is_told_once(champion: Contender | None, notices: list[str]) -> None:
    told = list(gate._class_notices(make_data(), champion))
    assert len(told) == len(notices)
    assert all(words in notice for words, notice in zip(notices, told, strict=True))


def test_a_class_without_test_rows_is_told() -> None:
    data = replace(make_data(), test=Split(["a", "b"], [0, 2]))
    (notice,) = gate._class_notices(data, None)
    assert notice == "The test split has no row of 'fair': how the model answers such texts is not tested."
