"""What every promotion test must do, as tests to inherit.

    class TestNoBias(PromotionTestSuite):
        @pytest.fixture
        def component(self):
            return NoBias(column="group")

        @pytest.fixture
        def data(self):
            return with_column(make_data(), "group", ["a", "b", "c"])

The kit judges models with known answers on rows of three classes. Override `data` where the test needs columns or rows of its own: every
test of the kit then uses these, the ones about two classes and about other tasks as well.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest

from ftkit import options
from ftkit.contracts import SPLITS, TASKS, Contender, Data, Foreseeing, PromotionTest, Task, Verdict, capable
from ftkit.contracts.tasks import DEFAULT_METRICS, METRICS_OF
from ftkit.plugins.tasks import known_tasks
from ftkit.testing.components import ComponentSuite
from ftkit.testing.contenders import (
    CLASSES,
    Fixed,
    make_contender,
    make_data,
    with_one_label,
    with_task,
    with_two_classes,
)

__all__ = ["CLASSES", "Fixed", "PromotionTestSuite", "check_verdict", "make_contender", "make_data", "with_column"]

STATUSES = ("passed", "failed", "not applicable")


def with_column(data: Data, name: str, values: Sequence[Any]) -> Data:
    """The same data with one more column: these values in turn, in every split."""

    def column(rows: int) -> list[Any]:
        return list(itertools.islice(itertools.cycle(values), rows))

    splits = {each: getattr(data, each) for each in SPLITS}
    return dataclasses.replace(
        data,
        **{
            each: dataclasses.replace(split, columns={**split.columns, name: column(len(split))})
            for each, split in splits.items()
        },
    )


class PromotionTestSuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "promotion_tests"
    measures: ClassVar[bool] = False
    """Whether the test measures time or memory: then only the status must be the same each time, not the numbers."""

    @pytest.fixture
    def component(self) -> PromotionTest:
        """The promotion test under test."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def data(self) -> Data:
        """The rows both contenders are scored on."""
        return make_data()

    @pytest.fixture
    def candidate(self, data: Data, tmp_path: Path) -> Contender:
        """The model that may be promoted."""
        return make_contender(data, bundle=tmp_path / "candidate")

    @pytest.fixture
    def champion(self, data: Data, tmp_path: Path) -> Contender:
        """The model that is live."""
        return make_contender(data, "champion version 1", 0.6, bundle=tmp_path / "champion")

    @pytest.mark.parametrize("first_time", [True, False], ids=["no champion", "a champion"])
    def test_a_verdict_is_complete(
        self, component: PromotionTest, candidate: Contender, champion: Contender, first_time: bool
    ) -> None:
        check_verdict(component, component.check(candidate, None if first_time else champion))

    def test_the_same_contenders_get_the_same_verdict(
        self, component: PromotionTest, candidate: Contender, champion: Contender
    ) -> None:
        for other in (champion, None):
            once, again = (component.check(candidate, other) for _ in range(2))
            assert once.status == again.status, "two checks of the same models ended differently"
            assert self.measures or once == again, (
                "two checks of the same models gave other numbers: draw by `candidate.seed`, or set `measures` if it measures time"
            )

    def test_foresee_accepts_data_that_check_can_judge(self, component: PromotionTest, data: Data) -> None:
        """For tests that have `foresee`: it sees no test rows and refuses only data that `check` could not judge."""
        if capable(component, Foreseeing):
            before = options.to_table(component)
            component.foresee(data.without_test())
            assert options.to_table(component) == before, "`foresee` changed an option"

    def test_judging_changes_nothing(self, component: PromotionTest, candidate: Contender, champion: Contender) -> None:
        def state() -> Any:
            scores = [each.probabilities.tobytes() for each in (candidate, champion)]
            parts = [candidate.data.train, candidate.data.valid, candidate.data.test]
            rows = [(list(part.texts), list(part.labels), dict(part.columns)) for part in parts]
            return pickle.dumps((scores, rows, options.to_table(component)))

        before = state()
        component.check(candidate, champion)
        component.check(candidate, None)
        assert state() == before, "`check` changed probabilities, rows or options: other tests get the same objects"

    @pytest.mark.parametrize("metric", METRICS_OF["single-label"])
    def test_every_metric_of_a_recipe_gets_a_verdict(
        self, component: PromotionTest, candidate: Contender, champion: Contender, metric: str
    ) -> None:
        if metric not in METRICS_OF[candidate.data.task]:
            pytest.skip(f"{metric} is no metric of {candidate.data.task} data")
        pair = [dataclasses.replace(each, metric=metric) for each in (candidate, champion)]
        check_verdict(component, component.check(pair[0], pair[1]))

    @pytest.mark.parametrize("task", [each for each in TASKS if each != "single-label"])
    def test_every_task_that_it_knows_gets_a_verdict(
        self, component: PromotionTest, candidate: Contender, data: Data, task: Task
    ) -> None:
        """For a test that declares further `tasks` and looks at rows: any other is refused when the recipe is loaded."""
        if task not in known_tasks(component):
            pytest.skip(f"it does not know {task} data")
        if candidate.serving is not None:
            pytest.skip("it judges a bundle, which is of one task")
        rows, metric = with_task(data, task), DEFAULT_METRICS[task]
        pair = [
            make_contender(rows, title, sure, metric)
            for title, sure in (("the candidate", 0.8), ("champion version 1", 0.6))
        ]
        for champion in (None, pair[1]):
            check_verdict(component, component.check(pair[0], champion))

    def test_two_classes_get_a_verdict(self, component: PromotionTest, data: Data) -> None:
        rows = with_two_classes(data)
        check_verdict(component, component.check(make_contender(rows), make_contender(rows, "champion version 1", 0.6)))

    def test_rows_of_one_class_get_a_verdict(self, component: PromotionTest, data: Data) -> None:
        rows = with_one_label(data)
        for metric in ("roc_auc", "macro_f1") if data.task == "single-label" else (DEFAULT_METRICS[data.task],):
            pair = [
                make_contender(rows, title, sure, metric)
                for title, sure in (("the candidate", 0.8), ("champion version 1", 0.6))
            ]
            check_verdict(component, component.check(*pair))


def check_verdict(component: PromotionTest, verdict: Verdict) -> None:
    """A verdict that a user can read, a ledger can store and a program can rely on."""
    name = type(component).name
    assert verdict.test == name, f"the verdict is of the test {verdict.test!r}, not of {name!r}: give it `self.name`"
    assert verdict.status in STATUSES, f"the status is {verdict.status!r}, not one of {', '.join(STATUSES)}"
    assert verdict.sentence.strip(), "give a sentence with the result"
    assert "\n" not in verdict.sentence, "keep the sentence on one line"
    assert all(isinstance(key, str) for key in verdict.numbers), "numbers have texts as their names"
    for key, value in verdict.numbers.items():
        assert isinstance(value, int | float), f"{key} is a {type(value).__name__}: give plain numbers, not numpy's"
        assert math.isfinite(value), f"{key} is {value}: leave out numbers that are not defined"
    if verdict.figure is not None:
        check_figure(verdict.figure)


def check_figure(figure: str) -> None:
    """A chart that a report can show inside its page."""
    try:
        root = ElementTree.fromstring(figure)  # noqa: S314  # our own text
    except ElementTree.ParseError as error:
        pytest.fail(f"the figure is no XML: {error}; `ftkit.evaluation.charts.svg` draws one")
    assert root.tag.rpartition("}")[2] == "svg", "the figure begins with another element than <svg>"
    foreign = [each.tag for each in root.iter() if each.tag.rpartition("}")[2] in ("script", "foreignObject")]
    assert not foreign, "a figure holds no script: it is part of the report's page"
