"""Early stopping, against cases worked out by hand and against Optuna's own halving."""

import math
import random

import pytest

from ftkit.contracts.policies import Asha, Bandit, Halving, Hyperband, Median, NoPolicy, Truncation
from ftkit.searching.policies import Bracket, bracket_of, brackets, stops

NAN = math.nan


@pytest.mark.parametrize(
    ("policy", "metric", "values", "others", "expected"),
    [
        # 0.8 / 1.2 = 0.667
        (Bandit(slack_factor=0.2), "accuracy", [0.66], [[0.8]], True),
        (Bandit(slack_factor=0.2), "accuracy", [0.67], [[0.8]], False),
        # The best of others counts up to the same evaluation only, and a trial that ended before it counts too.
        (Bandit(slack_factor=0.2), "accuracy", [0.66], [[0.7, 0.9]], False),
        (Bandit(slack_factor=0.2), "accuracy", [0.6, 0.66], [[0.8]], True),
        # A trial's own best counts, not its latest.
        (Bandit(slack_factor=0.2), "accuracy", [0.7, 0.1], [[0.8, 0.8]], False),
        (Bandit(slack_amount=0.1), "accuracy", [0.69], [[0.8]], True),
        (Bandit(slack_amount=0.1), "accuracy", [0.71], [[0.8]], False),
        # Less is better: 0.5 * 1.2 = 0.6
        (Bandit(slack_factor=0.2), "log_loss", [0.61], [[0.5]], True),
        (Bandit(slack_factor=0.2), "log_loss", [0.59], [[0.5]], False),
        (Bandit(slack_amount=0.05), "log_loss", [0.56], [[0.5]], True),
        (Bandit(slack_amount=0.05), "log_loss", [0.54], [[0.5]], False),
        # Below zero the best trial itself stays within its slack: -0.1 * 1.2 = -0.12
        (Bandit(slack_factor=0.2), "mcc", [-0.1], [[-0.2]], False),
        (Bandit(slack_factor=0.2), "mcc", [-0.11], [[-0.1]], False),
        (Bandit(slack_factor=0.2), "mcc", [-0.13], [[-0.1]], True),
        (Bandit(slack_factor=0.0), "accuracy", [0.5], [[0.5]], False),
        (Bandit(slack_factor=0.0), "accuracy", [0.5], [], False),
        (Bandit(slack_factor=0.2), "roc_auc", [NAN], [[0.5]], True),
        (Bandit(slack_factor=0.2), "roc_auc", [NAN], [[NAN]], False),
        # Running averages of the others up to evaluation 2: 0.5, 0.6, 0.7; their median 0.6
        (Median(), "accuracy", [0.4, 0.59], [[0.4, 0.6, 0.9], [0.5, 0.7], [0.6, 0.8]], True),
        (Median(), "accuracy", [0.61, 0.4], [[0.4, 0.6, 0.9], [0.5, 0.7], [0.6, 0.8]], False),
        (Median(), "accuracy", [0.1, 0.1], [[0.9]], False),
        (Median(), "log_loss", [0.7, 0.61], [[0.5, 0.7]], True),
        (Median(), "log_loss", [0.7, 0.59], [[0.5, 0.7]], False),
        # 40 % of five trials: the worst two go.
        (Truncation(percentage=40), "accuracy", [0.2], [[0.1], [0.3], [0.4], [0.5]], True),
        (Truncation(percentage=40), "accuracy", [0.3], [[0.1], [0.2], [0.4], [0.5]], False),
        (Truncation(percentage=40), "log_loss", [0.4], [[0.1], [0.2], [0.3], [0.5]], True),
        (Truncation(percentage=40), "accuracy", [0.1], [[0.5]], False),  # 40 % of two is none yet
        (Truncation(percentage=99), "accuracy", [0.5], [[0.5], [0.5], [0.5]], False),  # all are equal
        (Truncation(percentage=50), "accuracy", [0.0, 0.1], [[0.9]], False),  # the other has not come so far
        # A third of six, at rungs 1, 3, 9: the best two go on.
        (Halving(), "accuracy", [0.4], [[0.1], [0.2], [0.3], [0.5], [0.6]], True),
        (Halving(), "accuracy", [0.5], [[0.1], [0.2], [0.3], [0.4], [0.6]], False),
        (Halving(), "accuracy", [0.1, 0.1], [[0.5, 0.5]] * 5, False),  # two is no rung
        (Halving(), "accuracy", [0.1, 0.1, 0.4], [[0.5, 0.5, 0.5]], True),
        (Halving(smallest=2, reduction=2), "accuracy", [0.1], [[0.5]] * 5, False),
        (Halving(smallest=2, reduction=2), "accuracy", [0.1, 0.1], [[0.5, 0.5]], True),
        (Halving(smallest=2, reduction=2), "accuracy", [0.1] * 3, [[0.5] * 3], False),
        (Halving(smallest=2, reduction=2), "accuracy", [0.1] * 4, [[0.5] * 4], True),
        (Halving(), "log_loss", [0.6], [[0.5]], True),
        (Asha(), "accuracy", [0.4], [[0.1], [0.2], [0.3], [0.5], [0.6]], True),
        (Asha(), "accuracy", [0.5], [[0.1], [0.2], [0.3], [0.4], [0.6]], False),
        (NoPolicy(), "accuracy", [0.0], [[1.0]] * 5, False),
    ],
)
def test_a_policy_stops_what_its_definition_says(policy, metric, values, others, expected):
    assert stops(policy, metric, len(others), values, dict(enumerate(others))) is expected


@pytest.mark.parametrize("make", [lambda **options: Bandit(slack_amount=0.0, **options), Median, Truncation])
def test_a_policy_applies_at_multiples_of_its_interval_from_its_delay_on(make):
    policy = make(interval=2, delay=3)
    others = {number: [0.9] * 8 for number in range(9)}
    applied = [count for count in range(1, 9) if stops(policy, "accuracy", 9, [0.1] * count, others)]
    assert applied == [4, 6, 8]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
@pytest.mark.parametrize(
    "policy",
    [
        Halving(reduction=2),
        Asha(),
        Asha(smallest=2, reduction=2),
        Hyperband(largest=8, reduction=2),
        Hyperband(largest=9),
    ],
    ids=str,
)
def test_a_policy_that_halves_decides_as_optuna_does(metric, policy):
    """Each bracket is a study of its own, with the pruner that Optuna's own Hyperband has for it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction, best = ("minimize", min) if metric == "log_loss" else ("maximize", max)
    firsts = [each.first_rung for each in brackets(policy)] if isinstance(policy, Hyperband) else [policy.smallest]
    shares = [each.share for each in brackets(policy)] if isinstance(policy, Hyperband) else [1]
    longest = policy.largest if isinstance(policy, Hyperband) else 10
    studies = [
        optuna.create_study(
            direction=direction, pruner=optuna.pruners.SuccessiveHalvingPruner(first, reduction_factor=policy.reduction)
        )
        for first in firsts
    ]
    drawn, others, stopped = random.Random(5), {}, 0
    for number in range(60):
        study, values = studies[bracket_of(number, shares)], []
        trial = study.ask()
        for evaluation in range(1, longest):
            values.append(drawn.random())
            trial.report(best(values), evaluation)
            expected = trial.should_prune()
            assert stops(policy, metric, number, values, others) is expected
            if expected:
                stopped += 1
                break
        study.tell(trial, best(values))
        others[number] = values
    assert 15 < stopped < 60


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # Li et al. 2018, table 1: 81 evaluations, a third goes on. 81 trials from 1 evaluation on, 34 from 3, 15 from 9, …
        (Hyperband(largest=81), [(1, 81), (3, 34), (9, 15), (27, 8), (81, 5)]),
        # log3(9) = 2 halvings at most: ceil(3 * 9 / 3) = 9 trials, ceil(3 * 3 / 2) = 5, ceil(3 * 1 / 1) = 3
        (Hyperband(largest=9), [(1, 9), (3, 5), (9, 3)]),
        (Hyperband(largest=10), [(1, 9), (3, 5), (9, 3)]),
        # log2(8 / 2) = 2: ceil(3 * 4 / 3) = 4, ceil(3 * 2 / 2) = 3, 3
        (Hyperband(largest=8, smallest=2, reduction=2), [(2, 4), (4, 3), (8, 3)]),
    ],
)
def test_the_brackets_of_hyperband_are_those_of_the_paper(policy, expected):
    assert brackets(policy) == [Bracket(*each) for each in expected]


def test_trials_are_dealt_to_brackets_by_their_number_alone_and_in_proportion():
    # Shares 9, 5, 3 of 17. Lacking after n trials: share × n - 17 × dealt; the largest gets the next trial.
    assert "".join(str(bracket_of(number, [9, 5, 3])) for number in range(17)) == "01020102010102010"
    for shares in ([9, 5, 3], [4, 3, 3], [81, 34, 15, 8, 5]):
        dealt = [bracket_of(number, shares) for number in range(2 * sum(shares))]
        assert [dealt.count(index) for index in range(len(shares))] == [2 * share for share in shares]
        assert dealt[: sum(shares)] == dealt[sum(shares) :]


@pytest.mark.parametrize(
    ("number", "evaluations", "expected"),
    [
        (0, 1, True),  # bracket 0 judges after 1 evaluation,
        (0, 2, False),
        (0, 3, True),  # and after 3,
        (0, 9, False),  # and never a whole trial.
        (1, 1, False),  # Bracket 1 judges after 3 evaluations only.
        (1, 3, True),
        (3, 3, False),  # Bracket 2 lets every trial end.
        (3, 8, False),
    ],
)
def test_hyperband_judges_a_trial_at_the_rungs_of_its_bracket_alone(number, evaluations, expected):
    everyone = {other: [0.9] * 9 for other in range(17) if other != number}
    assert stops(Hyperband(largest=9), "accuracy", number, [0.1] * evaluations, everyone) is expected


def test_hyperband_compares_a_trial_with_those_of_its_bracket_alone():
    policy, elsewhere = Hyperband(largest=9), {1: [0.9] * 9, 3: [0.9] * 9}
    assert not stops(policy, "accuracy", 0, [0.1], elsewhere)
    assert stops(policy, "accuracy", 0, [0.1], {**elsewhere, 2: [0.2]})
