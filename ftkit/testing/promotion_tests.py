"""What every promotion test must do, as tests to inherit.

    class TestNoBias(PromotionTestSuite):
        @pytest.fixture
        def component(self):
            return NoBias(column="group")

The kit judges made-up predictions on rows of three classes. Override `data` where the test needs columns of its own.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ftkit import options
from ftkit.contracts import TASKS, Contender, Data, DataReport, Foreseeing, PromotionTest, Split, Task, Verdict
from ftkit.contracts.tasks import DEFAULT_METRICS
from ftkit.plugins.tasks import known_tasks

CLASSES = ("bad", "fair", "good")
STATUSES = ("passed", "failed", "not applicable")


class Fixed:
    """A classifier with fixed answers, for promotion tests that score further texts."""

    def __init__(self, classes: tuple[str, ...], certainty: float, task: Task = "single-label") -> None:
        self.classes = classes
        self.certainty = certainty
        self.task = task

    def probabilities(self, texts: Sequence[str]) -> Any:
        """The right class, which each text names, gets `certainty`; in every fifth text the next class does.

        Of several labels, all that the text's second number has as bits, and in every fifth text the first one besides.
        """
        import numpy as np

        if self.task == "multi-label":
            numbers = np.array([[int(word) for word in text.split()[:2]] for text in texts]).reshape(-1, 2)
            given = numbers[:, 1:] >> np.arange(len(self.classes)) & 1
            given[:, 0] |= numbers[:, 0] % 5 == 0
            return np.where(given == 1, self.certainty, 1 - self.certainty)
        scores = np.full((len(texts), len(self.classes)), (1 - self.certainty) / (len(self.classes) - 1))
        for row, text in enumerate(texts):
            number, right = (int(word) for word in text.split()[:2])
            scores[row, (right + (number % 5 == 0)) % len(self.classes)] = self.certainty
        return scores

    def save(self, folder: Path) -> None:
        """Nothing to write: the answers are fixed."""


def make_data(rows: int = 60, classes: tuple[str, ...] = CLASSES, task: Task = "single-label") -> Data:
    """Rows whose text names their number and class; the first class is the most frequent."""
    several = task == "multi-label"

    def part(start: int) -> Split:
        labels = [0 if number % 2 else number // 2 % len(classes) for number in range(rows)]
        named = [number % 2 ** len(classes) for number in range(rows)] if several else labels
        texts = [f"{start + number} {name} words" for number, name in enumerate(named)]
        sets = [tuple(index for index in range(len(classes)) if name >> index & 1) for name in named]
        return Split(texts, sets if several else labels, {"stars": [label + 1 for label in labels]})

    splits = {name: part(start) for name, start in (("train", 0), ("valid", 1000), ("test", 2000))}
    counts = {
        name: {each: list(split.each_label()).count(index) for index, each in enumerate(classes)}
        for name, split in splits.items()
    }
    report = DataReport("made up", 3 * rows, {}, counts, {"p5": 3, "p50": 3, "p95": 3, "max": 3}, "cd" * 32)
    return Data(classes, splits["train"], splits["valid"], splits["test"], report, task=task)


def make_contender(
    data: Data, title: str = "the candidate", certainty: float = 0.8, metric: str = "macro_f1", bundle: Path = Path()
) -> Contender:
    """A contender that is right about four rows of five."""
    classifier = Fixed(data.classes, certainty, data.task)
    scores = classifier.probabilities(data.test.texts)
    return Contender(title, bundle, classifier, scores, data, metric, seed=7)


class PromotionTestSuite:
    """Inherit as a class named `Test…` and override the fixture `component`."""

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

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: PromotionTest) -> None:
        assert isinstance(component, PromotionTest)
        assert isinstance(type(component).name, str)
        assert dataclasses.is_dataclass(component)
        assert component.__dataclass_params__.frozen

    def test_every_option_is_documented(self, component: PromotionTest) -> None:
        assert not [each.name for each in options.options(type(component)) if not each.doc]

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: PromotionTest) -> None:
        assert options.build(type(component), options.to_table(component)) == component

    def test_it_can_be_sent_to_another_process(self, component: PromotionTest) -> None:
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes

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
            assert once.status == again.status
            assert self.measures or once == again

    def test_foresee_accepts_data_that_check_can_judge(self, component: PromotionTest, data: Data) -> None:
        """For tests that have `foresee`: it sees no test rows and refuses only data that `check` could not judge."""
        if isinstance(component, Foreseeing):
            before = options.to_table(component)
            component.foresee(data.without_test())
            assert options.to_table(component) == before

    def test_judging_changes_nothing(self, component: PromotionTest, candidate: Contender, champion: Contender) -> None:
        def state() -> Any:
            scores = [each.probabilities.tobytes() for each in (candidate, champion)]
            parts = [candidate.data.train, candidate.data.valid, candidate.data.test]
            rows = [(list(part.texts), list(part.labels), dict(part.columns)) for part in parts]
            return pickle.dumps((scores, rows, options.to_table(component)))

        before = state()
        component.check(candidate, champion)
        component.check(candidate, None)
        assert state() == before

    @pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "roc_auc", "mcc", "log_loss"])
    def test_every_metric_of_a_recipe_gets_a_verdict(
        self, component: PromotionTest, candidate: Contender, champion: Contender, metric: str
    ) -> None:
        pair = [dataclasses.replace(each, metric=metric) for each in (candidate, champion)]
        check_verdict(component, component.check(pair[0], pair[1]))

    @pytest.mark.parametrize("task", [each for each in TASKS if each != "single-label"])
    def test_every_task_that_it_knows_gets_a_verdict(
        self, component: PromotionTest, candidate: Contender, task: Task, tmp_path: Path
    ) -> None:
        """For a test that declares further `tasks` and looks at rows: any other is refused when the recipe is loaded."""
        if task not in known_tasks(component):
            pytest.skip(f"it does not know {task} data")
        if candidate.serving is not None:
            pytest.skip("it judges a bundle, which is of one task")
        data, metric = make_data(task=task), DEFAULT_METRICS[task]
        pair = [
            make_contender(data, title, sure, metric)
            for title, sure in (("the candidate", 0.8), ("champion version 1", 0.6))
        ]
        for champion in (None, pair[1]):
            check_verdict(component, component.check(pair[0], champion))

    def test_two_classes_get_a_verdict(self, component: PromotionTest) -> None:
        data = make_data(classes=("bad", "good"))
        check_verdict(component, component.check(make_contender(data), make_contender(data, "champion version 1", 0.6)))

    def test_rows_of_one_class_get_a_verdict(self, component: PromotionTest, data: Data) -> None:
        rows = [index for index, label in enumerate(data.test.labels) if label == 0]
        part = Split(
            [data.test.texts[index] for index in rows],
            [0 for _ in rows],
            {key: [values[index] for index in rows] for key, values in data.test.columns.items()},
        )
        one_class = dataclasses.replace(data, test=part)
        for metric in ("roc_auc", "macro_f1"):
            candidate = make_contender(one_class, metric=metric)
            check_verdict(
                component, component.check(candidate, make_contender(one_class, "champion version 1", 0.6, metric))
            )


def check_verdict(component: PromotionTest, verdict: Verdict) -> None:
    """A verdict that a user can read, a ledger can store and a program can rely on."""
    assert verdict.test == type(component).name
    assert verdict.status in STATUSES
    assert verdict.sentence.strip(), "give a sentence with the result"
    assert "\n" not in verdict.sentence, "keep the sentence on one line"
    assert all(isinstance(key, str) for key in verdict.numbers)
    assert all(isinstance(value, int | float) for value in verdict.numbers.values()), "plain numbers, not numpy's"
    assert all(math.isfinite(value) for value in verdict.numbers.values()), "leave out numbers that are not defined"
    assert verdict.figure is None or "<svg" in verdict.figure
