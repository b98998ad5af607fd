"""Every test of the plugin passes the kit for promotion tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from ftkit_strict.agreement import Agreement
from ftkit_strict.budget import Budget
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.direction import Direction
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.label_noise import LabelNoise
from ftkit_strict.leakage import Leakage
from ftkit_strict.odd_input import OddInput
from ftkit_strict.preset import Strict
from ftkit_strict.reload import Reload
from ftkit_strict.served_parity import ServedParity
from ftkit_strict.slices import Slices

from ftkit.contracts import Contender, PromotionPreset, PromotionTest
from ftkit.testing.promotion_presets import PromotionPresetSuite
from ftkit.testing.promotion_tests import PromotionTestSuite


class TestNoWorseThanChampion(PromotionTestSuite):
    @pytest.fixture(params=["non-inferior", "superior"])
    def component(self, request: pytest.FixtureRequest) -> PromotionTest:
        return NoWorseThanChampion(mode=request.param, resamples=200)


class TestAgreement(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Agreement(at_least=0.9)


class TestCalibration(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Calibration(max_brier=0.5)


class TestSlices(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Slices(floor=0.3, min_support=5, resamples=200)


class TestInvariance(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        # The kit's classifier reads the first two words as numbers.
        return Invariance(place="end", limits={"numbers": 1.0})


class TestDirection(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Direction(positive="good", negative="bad", place="end")


class TestExamples(PromotionTestSuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> PromotionTest:
        path = tmp_path / "examples.csv"
        path.write_text("text,label\n1 0 words,bad\n2 1 words,good\n", encoding="utf-8")
        return Examples(path=path, min_share=0.5)


class TestLeakage(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Leakage(threshold=0.5, shingle=1)


class TestLabelNoise(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return LabelNoise(max_share=0.1)


class TestNotDegenerate(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return NotDegenerate(max_answer_share=0.9)


class TestStrict(PromotionPresetSuite):
    @pytest.fixture(params=["fast", "full"])
    def component(self, request: pytest.FixtureRequest, tmp_path: Path) -> PromotionPreset:
        return Strict(depth=request.param, floor=0.7, examples=tmp_path / "examples.csv", without=("direction",))


class Served(PromotionTestSuite):
    """Tests that look at the bundle get a contender that has one."""

    @pytest.fixture
    def candidate(self, sound: Contender) -> Contender:
        return sound


class TestOddInput(Served):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return OddInput(texts=("one more",), long=1000)


class TestServedParity(Served):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return ServedParity(rows=20, sizes=(1, 4))


class TestBudget(Served):
    measures = True

    @pytest.fixture
    def component(self) -> PromotionTest:
        return Budget(requests=20, p95_ms=30_000.0)


class TestReload(Served):
    @pytest.fixture
    def component(self, tmp_path: Path) -> PromotionTest:
        return Reload(rows=5, allow=(tmp_path,))
