import pytest
from ftkit.testing.promotion_presets import PromotionPresetSuite
from ftkit.testing.promotion_tests import PromotionTestSuite, make_contender, make_data

from ftkit_seedling import Seedling, SeedlingExamples


class TestSeedling(PromotionPresetSuite):
    @pytest.fixture
    def component(self) -> Seedling:
        return Seedling(examples={"1 2 words": "good"}, empty="bad")


class TestSeedlingExamples(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> SeedlingExamples:
        return SeedlingExamples(examples={"1 1 words": "good", "2 0 words": "bad"})


def test_a_draft_is_not_compared_with_the_champion() -> None:
    draft = Seedling(stage="draft")
    assert [test.name for test in draft.tests()] == ["metric-floor", "beats-majority"]
    release = Seedling(without=("metric-floor",), majority=False)
    assert [test.name for test in release.tests()] == ["beats-champion"]


def test_a_wrong_example_fails() -> None:
    test = SeedlingExamples(examples={"1 0 words": "good"})
    verdict = test.check(make_contender(make_data()), None)
    assert (verdict.status, verdict.numbers["wrong"]) == ("failed", 1)


@pytest.mark.parametrize(
    "option", [{"percent": 200}, {"margin": -1.0}, {"stage": "draft", "without": ["metric-floor"]}]
)
def test_values_that_do_not_fit_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"percent|margin|without"):
        Seedling(majority=option.get("stage") != "draft", **option)  # type: ignore[arg-type]
