"""Early stopping, against cases worked out by hand and against Optuna's own halving."""

import math
import random

import pytest

from ftkit.contracts.policies import Bandit, Halving, Median, NoPolicy, Truncation
from ftkit.searching.policies import stops

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
        (NoPolicy(), "accuracy", [0.0], [[1.0]] * 5, False),
    ],
)
def test_a_policy_stops_what_its_definition_says(policy, metric, values, others, expected):
    assert stops(policy, metric, values, others) is expected


@pytest.mark.parametrize("make", [lambda **options: Bandit(slack_amount=0.0, **options), Median, Truncation])
def test_a_policy_applies_at_multiples_of_its_interval_from_its_delay_on(make):
    policy = make(interval=2, delay=3)
    others = [[0.9] * 8 for _ in range(9)]
    applied = [count for count in range(1, 9) if stops(policy, "accuracy", [0.1] * count, others)]
    assert applied == [4, 6, 8]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
@pytest.mark.parametrize(("smallest", "reduction"), [(1, 2), (1, 3), (2, 2)])
def test_halving_decides_as_optuna_does(metric, smallest, reduction):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=smallest, reduction_factor=reduction)
    direction, best = ("minimize", min) if metric == "log_loss" else ("maximize", max)
    study = optuna.create_study(direction=direction, pruner=pruner)
    drawn, policy, others, stopped = random.Random(5), Halving(smallest=smallest, reduction=reduction), [], 0
    for _ in range(40):
        trial, values = study.ask(), []
        for evaluation in range(1, 10):
            values.append(drawn.random())
            trial.report(best(values), evaluation)
            expected = trial.should_prune()
            assert stops(policy, metric, values, others) is expected
            if expected:
                stopped += 1
                break
        study.tell(trial, best(values))
        others.append(values)
    assert 10 < stopped < 40
