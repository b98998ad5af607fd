"""What a recipe's search section may say."""

import pytest

from ftkit.contracts.settings import POLICIES, Bandit, Halving, Median, Search, Truncation


@pytest.mark.parametrize(
    ("make", "values", "complaint"),
    [
        (Bandit, {}, "either slack_factor or slack_amount"),
        (Bandit, {"slack_factor": 0.1, "slack_amount": 0.1}, "either slack_factor or slack_amount"),
        (Bandit, {"slack_factor": -0.1}, "must not be negative"),
        (Bandit, {"slack_amount": -0.1}, "must not be negative"),
        (Bandit, {"slack_factor": 0.1, "interval": 0}, "interval must be at least 1"),
        (Median, {"delay": -1}, "delay must not be negative"),
        (Truncation, {"percentage": 0}, "from 1 to 99"),
        (Truncation, {"percentage": 100}, "from 1 to 99"),
        (Halving, {"smallest": 0}, "smallest must be at least 1"),
        (Halving, {"reduction": 1}, "reduction must be at least 2"),
        (Search, {"trials": 0}, "trials must be at least 1"),
        (Search, {"concurrency": 0}, "concurrency must be at least 1"),
    ],
)
def test_a_value_out_of_range_is_refused(make, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(**values)


def test_a_slack_of_nothing_is_allowed():
    assert Bandit(slack_factor=0.0).slack_factor == 0.0
    assert Bandit(slack_amount=0.0).slack_amount == 0.0


def test_every_policy_has_a_name_of_its_own():
    assert len({policy.name for policy in POLICIES}) == len(POLICIES)


def test_a_search_that_says_nothing_is_one_trial_of_the_recipe_as_it_stands():
    search = Search()
    assert (search.trials, search.concurrency, dict(search.space)) == (1, 1, {})
