"""The conformance kit of promotion tests: rows of one's own reach every test, and a verdict that nobody can use is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from ftkit.contracts import TASKS, Contender, Data, Split, Task, Verdict
from ftkit.testing.contenders import make_contender, make_data, with_one_label, with_task, with_two_classes
from ftkit.testing.promotion_tests import PromotionTestSuite, check_verdict, with_column


@dataclass(frozen=True, kw_only=True)
class Shops:
    """Passes where every shop has an answer that is right; it needs a column, in every split."""

    name: ClassVar[str] = "shops"
    tasks: ClassVar[tuple[Task, ...]] = TASKS

    def foresee(self, data: Data) -> None:
        assert {*data.train.columns["shop"]} == {"north", "south"}

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        shops = candidate.data.test.columns["shop"]
        assert len(shops) == len(candidate.data.test) == len(candidate.probabilities)
        assert [*candidate.data.train.columns] == ["stars", "shop"]
        return Verdict(self.name, "passed", "every shop has rows", {"shops": len({*shops})})


def without_numbers() -> Data:
    """Rows of one's own, with a column more."""
    data = make_data(30)
    texts = [f"a text without numbers {row}" for row in range(30)]
    return with_column(replace(data, test=replace(data.test, texts=texts)), "shop", ["north", "south"])


class TestShops(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> Shops:
        return Shops()

    @pytest.fixture
    def data(self) -> Data:
        return without_numbers()


def test_a_made_up_model_is_right_about_four_rows_of_five_whatever_the_texts_are() -> None:
    data = without_numbers()
    candidate = make_contender(data)
    hits = candidate.probabilities.argmax(axis=1) == np.asarray(data.test.labels)
    assert hits.mean() == pytest.approx(0.8)
    assert candidate.classifier.probabilities(["something else", ""]).sum(axis=1) == pytest.approx(1)
    assert candidate.classifier.probabilities([]).shape == (0, 3)


def test_rows_keep_their_columns_in_every_form() -> None:
    data = with_column(make_data(12), "shop", ["north", "south"])
    two, several, one = with_two_classes(data), with_task(data, "multi-label"), with_one_label(data)
    assert two.classes == ("bad", "good")
    assert {*two.test.labels} == {0, 1}
    assert several.test.labels[3] == (0, 1)
    assert {*one.test.labels} == {0}
    for other in (two, several, one):
        rows = dict(zip(data.test.texts, data.test.columns["shop"], strict=True))
        assert [rows[text] for text in other.test.texts] == list(other.test.columns["shop"])
        assert other.report.sizes["test"] == len(other.test)
    assert with_two_classes(several).test.labels[6] == (1,)


SOUND = Verdict("shops", "passed", "it passes", {"value": 0.5}, '<svg xmlns="http://www.w3.org/2000/svg"></svg>')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "other"}, "give it `self.name`"),
        ({"status": "good"}, "not one of passed"),
        ({"sentence": " "}, "give a sentence"),
        ({"sentence": "two\nlines"}, "one line"),
        ({"numbers": {"value": np.float32(0.5)}}, "plain numbers"),
        ({"numbers": {"value": float("nan")}}, "not defined"),
        ({"figure": "<svg>"}, "is no XML"),
        ({"figure": "<p/>"}, "another element"),
        ({"figure": "<svg><script/></svg>"}, "no script"),
    ],
)
def test_a_verdict_that_cannot_be_used_is_found(change: dict[str, Any], message: str) -> None:
    check_verdict(Shops(), SOUND)
    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        check_verdict(Shops(), replace(SOUND, **change))


def test_empty_splits_stay_empty() -> None:
    data = replace(make_data(), train=Split((), ()))
    assert len(with_two_classes(with_column(data, "shop", ["north"])).train) == 0
