"""The comparison of a distilled model with its teacher."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ftkit_strict.teacher import NearTeacher

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import CHAMPION, Contender, PromotionTest
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle
from ftkit.testing.promotion_tests import PromotionTestSuite


class TestNearTeacher(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return NearTeacher(resamples=200)


@pytest.fixture
def teacher(tmp_path: Path) -> Any:
    with toys.install(tmp_path / "plugins"):
        yield toy_bundle(tmp_path / "teacher")


def student(bench: Any, teacher: Bundle, folder: Path, wrong: int, named: str, cache: Path | None = None) -> Contender:
    """A candidate that answers as its teacher, but for so many rows of 400."""
    texts = [f"{'good' if row % 2 else 'bad'} and further words {row}" for row in range(400)]
    answers = np.array(teacher.probabilities(texts))
    labels = answers.argmax(axis=1).tolist()
    answers[:wrong] = answers[:wrong, ::-1]
    bench.classes = teacher.classes
    candidate = bench.scored(answers, labels, texts=texts)
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"backbone": {"use": "tiny", "teacher": named}}))
    return replace(candidate, bundle=folder, data=replace(candidate.data, cache=cache))


@pytest.mark.parametrize(("wrong", "status"), [(0, "passed"), (1, "passed"), (40, "failed")])
def test_a_student_may_be_worse_than_its_teacher_by_less_than_the_bound(
    bench: Any, teacher: Bundle, tmp_path: Path, wrong: int, status: str
) -> None:
    verdict = NearTeacher().check(student(bench, teacher, tmp_path / "bundle", wrong, str(teacher.folder)), None)
    assert (verdict.test, verdict.status) == ("near-teacher", status)
    assert "its teacher" in verdict.sentence
    assert verdict.numbers["margin"] == 0.02


def test_the_champion_as_teacher_is_found_where_the_run_has_put_it(bench: Any, teacher: Bundle, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "teacher").symlink_to(teacher.folder)
    candidate = student(bench, teacher, tmp_path / "bundle", 40, CHAMPION, tmp_path / "cache")
    assert NearTeacher().check(candidate, None).status == "failed"


def test_the_interval_is_one_sided(bench: Any, teacher: Bundle, tmp_path: Path) -> None:
    candidate = student(bench, teacher, tmp_path / "bundle", 3, str(teacher.folder))
    lows = [NearTeacher(level=level).check(candidate, None).numbers["low"] for level in (0.95, 0.975)]
    assert lows[1] < lows[0] < -3 / 400


def test_a_model_without_a_teacher_is_not_judged(bench: Any) -> None:
    verdict = NearTeacher().check(bench.scored([0.1, 0.9], [0, 1]), None)
    assert verdict.status == "not applicable"
