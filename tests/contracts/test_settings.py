"""The settings of a recipe's search section."""

import pytest

from ftkit.contracts.policies import POLICIES, Asha, Bandit, Halving, Hyperband, Median, Truncation
from ftkit.contracts.settings import Search


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        (Bandit, {}, "either slack_factor or slack_amount"),
        (Bandit, {"slack_factor": 0.1, "slack_amount": 0.1}, "either slack_factor or slack_amount"),
        (Bandit, {"slack_factor": -0.1}, "must not be negative"),
        (Bandit, {"slack_amount": -0.1}, "must not be negative"),
        (Bandit, {"slack_factor": 0.1, "interval": 0}, "interval must be at least 1"),
        (Median, {"delay": -1}, "delay must not be negative"),
        (Truncation, {"percentage": 0}, "from 1 to 99"),
        (Truncation, {"percentage": 100}, "from 1 to 99"),
        (Asha, {"smallest": 0}, "smallest must be at least 1"),
        (Asha, {"reduction": 1}, "reduction must be at least 2"),
        (Hyperband, {"largest": 9, "smallest": 0}, "smallest must be at least 1"),
        (Hyperband, {"largest": 9, "reduction": 1}, "reduction must be at least 2"),
        (Hyperband, {"largest": 2}, "largest must be at least smallest × reduction = 3"),
        (Halving, {"smallest": 0}, "smallest must be at least 1"),
        (Halving, {"reduction": 1}, "reduction must be at least 2"),
        (Search, {"trials": 0}, "trials must be at least 1"),
        (Search, {"concurrency": 0}, "concurrency must be at least 1"),
    ],
)
def test_a_value_out_of_range_is_refused(settings, values, message):
    with pytest.raises(ValueError, match=message):
        settings(**values)


def test_a_slack_of_zero_is_allowed():
    assert Bandit(slack_factor=0.0).slack_factor == 0.0
    assert Bandit(slack_amount=0.0).slack_amount == 0.0


def test_every_policy_has_a_name_of_its_own():
    assert len({policy.name for policy in POLICIES}) == len(POLICIES)


def test_the_default_search_is_one_trial_without_a_space():
    search = Search()
    assert (search.trials, search.concurrency, dict(search.space)) == (1, 1, {})
