import pytest
from ftkit.errors import DataError
from ftkit.testing.promotion_tests import PromotionTestSuite, make_contender, make_data

from ftkit_seedling import Seedling


class TestSeedling(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(floor=0.3)


class TestSeedlingWithAColumn(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(measure="precision", column="stars", min_rows=2)


def test_a_class_below_its_own_floor_fails() -> None:
    candidate = make_contender(make_data())
    verdict = Seedling(floor=0.1, floors={"good": 1.0}).check(candidate, None)
    assert verdict.status == "failed"
    assert "'good'" in verdict.sentence
    assert verdict.figure
    asking = Seedling(floor=0.1, floors={"good": 1.0}, required=False)
    assert asking.check(candidate, None).status == "passed"


def test_classes_with_few_rows_are_not_judged() -> None:
    verdict = Seedling(min_rows=1000).check(make_contender(make_data()), None)
    assert verdict.status == "not applicable"


def test_data_that_cannot_be_judged_are_refused_before_the_training() -> None:
    with pytest.raises(DataError, match="no column 'shop'"):
        Seedling(column="shop").foresee(make_data())
    with pytest.raises(DataError, match="no class 'great'"):
        Seedling(classes=("great",)).foresee(make_data())
