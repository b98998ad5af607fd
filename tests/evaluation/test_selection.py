"""Selection: which trials are repeated, their means, which configuration wins, and which model becomes the bundle."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest

from ftkit.contracts import Trial
from ftkit.contracts.settings import Confirm, Search
from ftkit.contracts.space import Choice, Uniform
from ftkit.errors import SearchError
from ftkit.evaluation import selection


def trial(number, value, state="finished", repeats=None, metric="accuracy", **values):
    metrics = {metric: value} if value is not None else {}
    return Trial(number, values or {"learning_rate": number}, 7, state, metrics=metrics, epoch=1, repeats=repeats)


def search(top=2, seeds=2, **options):
    return Search(metric="accuracy", confirm=Confirm(top=top, seeds=seeds), **options)


FOUR = [trial(0, 0.8), trial(1, 0.95), trial(2, 0.9), trial(3, 0.93)]


def repeated(trials, values, **planning):
    """The trials and their repeats, which reach these values in turn; None is one that failed."""
    plan = selection.planned_repeats(search(**planning), 7, trials)
    done = [
        trial(each.number, value, "finished" if value is not None else "failed", each.repeats, **each.values)
        for each, value in zip(plan, values, strict=True)
    ]
    return [*trials, *done]


# ----------------------------------------------------------------------------------------- what is repeated


def test_the_best_finished_trials_are_repeated_and_numbered_after_the_last_trial():
    trials = [*FOUR, trial(4, 0.99, "stopped"), trial(5, None, "failed")]
    repeats = selection.planned_repeats(search(), 7, trials)
    assert [(each.number, each.repeats) for each in repeats] == [(6, 1), (7, 1), (8, 3), (9, 3)]
    assert [each.values for each in repeats] == [{"learning_rate": 1}] * 2 + [{"learning_rate": 3}] * 2


def test_without_confirm_nothing_is_repeated():
    assert selection.planned_repeats(Search(metric="accuracy"), 7, FOUR) == []
    assert selection.most_repeats(Search(), 5) == 0


def test_fewer_finished_trials_than_top_are_all_repeated():
    repeats = selection.planned_repeats(search(top=9, seeds=1), 7, [*FOUR[:2], trial(2, None, "failed")])
    assert [each.repeats for each in repeats] == [1, 0]
    assert selection.planned_repeats(search(), 7, [trial(0, None, "failed")]) == []


def test_equal_values_of_two_trials_are_one_configuration():
    trials = [trial(0, 0.9, rate=1), trial(1, 0.91, rate=1), trial(2, 0.8, rate=2), trial(3, 0.7, rate=3)]
    assert [each.repeats for each in selection.planned_repeats(search(seeds=1), 7, trials)] == [1, 2]


def test_the_earliest_of_equals_comes_first_and_a_number_before_nan():
    trials = [trial(0, math.nan), trial(1, 0.9), trial(2, 0.9)]
    assert [each.number for each in selection.leading_trials(trials, "accuracy", 3)] == [1, 2, 0]


def test_a_lower_value_leads_for_log_loss():
    trials = [trial(number, loss, metric="log_loss") for number, loss in enumerate([0.5, 0.2, 0.4])]
    assert [each.number for each in selection.leading_trials(trials, "log_loss", 2)] == [1, 2]


def test_the_plan_does_not_depend_on_the_repeats_already_done():
    first = selection.planned_repeats(search(), 7, FOUR)
    done = repeated(FOUR, [0.1, 0.99, 0.2, 0.98])
    for count in range(len(FOUR), len(done) + 1):
        assert selection.planned_repeats(search(), 7, done[:count]) == first
    assert selection.planned_repeats(search(), 7, done[::-1]) == first


def test_every_repeat_has_a_seed_of_its_own_that_is_reproducible():
    many = [trial(number, 1 - number / 100) for number in range(40)]
    seeds = [each.seed for each in selection.planned_repeats(search(top=40, seeds=25), 7, many)]
    assert len(set(seeds) | {7}) == 1001
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [each.seed for each in selection.planned_repeats(search(top=40, seeds=25), 7, many)]
    assert not set(seeds) & {each.seed for each in selection.planned_repeats(search(top=40, seeds=25), 8, many)}
    # More seeds or more configurations leave those that were there as they were.
    fewer = {(each.repeats, each.seed) for each in selection.planned_repeats(search(top=3, seeds=2), 7, many)}
    assert fewer <= {(each.repeats, each.seed) for each in selection.planned_repeats(search(top=5, seeds=4), 7, many)}


def test_the_number_of_repeats_is_known_beforehand():
    space = {"rate": Choice((1, 2)), "decay": Uniform(0, 1)}
    assert selection.most_repeats(search(top=3, seeds=4, space=space), 10) == 12
    assert selection.most_repeats(search(top=3, seeds=4, space=space), 2) == 8
    assert selection.most_repeats(search(top=3, seeds=4, space={"rate": Choice((1, 2))}), 10) == 8
    assert selection.most_repeats(search(top=3, seeds=4), 10) == 4, "no space is one configuration"


# ------------------------------------------------------------------------------------------------ who wins


def test_the_best_mean_of_the_repeats_wins_and_the_search_value_does_not_count():
    trials = repeated(FOUR, [0.80, 0.82, 0.88, 0.92])
    first, second = selection.spreads(trials, "accuracy")
    assert (first.number, second.number) == (3, 1)
    assert first.mean == pytest.approx(0.9)
    assert first.searched == 0.93
    assert first.deviation == pytest.approx(statistics.stdev([0.88, 0.92]))
    assert (first.low, first.high, first.finished, first.failed) == (0.88, 0.92, 2, 0)
    # With the search's own value in it, the mean of trial 1 would be 0.8567, and of trial 3 0.91.
    assert second.mean == pytest.approx(0.81)


def test_the_model_is_the_best_of_the_winning_configuration():
    assert selection.best_trial(repeated(FOUR, [0.80, 0.82, 0.88, 0.92]), "accuracy").number == 3, (
        "the one of the search"
    )
    best = selection.best_trial(repeated(FOUR, [0.80, 0.82, 0.88, 0.94]), "accuracy")
    assert (best.number, best.repeats) == (7, 3), "a repeat"
    # The highest single value belongs to a configuration whose mean is lower.
    assert selection.best_trial(repeated(FOUR, [0.99, 0.5, 0.9, 0.91]), "accuracy").number == 3


def test_a_failed_repeat_is_left_out_of_the_mean_and_counted():
    (first, second) = selection.spreads(repeated(FOUR, [0.92, None, 0.9, 0.91]), "accuracy")
    assert (first.number, first.mean, first.deviation, first.finished, first.failed) == (1, 0.92, None, 1, 1)
    assert (second.finished, second.failed) == (2, 0)


def test_a_configuration_without_a_finished_repeat_wins_only_where_no_other_has_one():
    trials = repeated(FOUR, [None, None, 0.2, 0.3])
    assert [each.number for each in selection.spreads(trials, "accuracy")] == [3, 1]
    assert selection.best_trial(trials, "accuracy").number == 3
    lost = repeated(FOUR, [None, None, None, None])
    assert [each.mean for each in selection.spreads(lost, "accuracy")] == [None, None]
    assert selection.best_trial(lost, "accuracy").number == 1, "then the search alone decides"


def test_a_repeat_with_nan_is_left_out_of_the_mean():
    first, _ = selection.spreads(repeated(FOUR, [math.nan, 0.7, 0.2, 0.3]), "accuracy")
    assert (first.number, first.mean, first.finished, first.failed) == (1, 0.7, 1, 1)
    assert selection.best_trial(repeated(FOUR, [math.nan, 0.7, 0.2, 0.3]), "accuracy").number == 1


def test_of_equal_means_the_one_that_led_the_search_wins():
    assert selection.spreads(repeated(FOUR, [0.5, 0.7, 0.6, 0.6]), "accuracy")[0].number == 1
    assert selection.spreads(repeated(FOUR, [0.7, 0.7, 0.7, 0.7]), "accuracy")[0].number == 1


def test_the_lowest_mean_wins_for_log_loss():
    options = Search(metric="log_loss", confirm=Confirm(top=2, seeds=1))
    trials = [trial(0, 0.30, metric="log_loss"), trial(1, 0.31, metric="log_loss")]
    done = [
        trial(each.number, loss, repeats=each.repeats, metric="log_loss", **each.values)
        for each, loss in zip(selection.planned_repeats(options, 7, trials), [0.4, 0.35], strict=True)
    ]
    assert selection.best_trial([*trials, *done], "log_loss").number == 1


def test_without_repeats_the_best_trial_wins_the_earliest_of_equals():
    assert selection.best_trial([*FOUR, trial(4, 0.95), trial(5, 0.99, "stopped")], "accuracy").number == 1
    assert selection.spreads(FOUR, "accuracy") == []
    with pytest.raises(SearchError, match="none of the 1 trials finished"):
        selection.best_trial([trial(0, None, "failed")], "accuracy")


# ------------------------------------------------------------------------------------------------ models


def test_a_model_that_may_still_win_is_kept_at_every_moment():
    """Whatever order trials and repeats end in, the winner's model is among those that were never removed."""
    chance = np.random.default_rng(1)
    for _ in range(200):
        values = chance.integers(0, 6, 8) / 5
        states = chance.choice(["finished", "finished", "finished", "failed"], 8)
        own = [trial(at, values[at], states[at], rate=int(chance.integers(0, 5))) for at in range(8)]
        options = search(top=int(chance.integers(1, 4)), seeds=int(chance.integers(1, 4)))
        removed: set[int] = set()
        done: list[Trial] = []
        for each in [own[at] for at in chance.permutation(8)]:
            done.append(each)
            removed |= {one.number for one in done} - selection.trials_to_keep(options, done)
        if not any(each.state == "finished" for each in own):
            continue
        plan = selection.planned_repeats(options, 7, done)
        for each in [plan[at] for at in chance.permutation(len(plan))]:
            value = None if chance.random() < 0.3 else chance.integers(0, 6) / 5
            state = "failed" if value is None else "finished"
            done.append(trial(each.number, value, state, each.repeats, **each.values))
            removed |= {one.number for one in done} - selection.trials_to_keep(options, done)
        assert selection.best_trial(done, "accuracy").number not in removed
        assert len(selection.trials_to_keep(options, done)) <= options.confirm.top


def test_without_confirm_one_model_is_kept():
    assert selection.trials_to_keep(Search(metric="accuracy"), FOUR) == {1}
    assert selection.trials_to_keep(Search(metric="accuracy"), [trial(0, None, "failed")]) == set()


# ------------------------------------------------------------------------------------------- what it is for


def test_repeats_choose_better_and_estimate_better_than_the_best_of_the_search():
    """A simulation of what the module claims: configurations of known merit, values with the noise of seeds.

    The value of the search's winner flatters it; the mean over fresh seeds flatters far less; and the configuration chosen
    by it is better on average.
    """
    chance = np.random.default_rng(3)
    options = search(top=3, seeds=3)
    merits = {"search": [], "confirmed": []}
    flattered = {"search": [], "confirmed": []}
    for _ in range(1500):
        merit = chance.normal(0, 0.5, 12)
        own = [trial(at, float(merit[at] + chance.normal(0, 1))) for at in range(12)]
        done = [*own]
        for each in selection.planned_repeats(options, 7, own):
            value = float(merit[each.repeats] + chance.normal(0, 1))
            done.append(trial(each.number, value, repeats=each.repeats, **each.values))
        naive, sober = selection.best_trial(own, "accuracy"), selection.spreads(done, "accuracy")[0]
        merits["search"].append(merit[naive.number])
        merits["confirmed"].append(merit[sober.number])
        flattered["search"].append(naive.metrics["accuracy"] - merit[naive.number])
        flattered["confirmed"].append(sober.mean - merit[sober.number])
    assert np.mean(merits["confirmed"]) > np.mean(merits["search"]) + 0.05
    assert np.mean(flattered["search"]) > 1.2
    assert np.mean(flattered["confirmed"]) < 0.45


def test_within_a_configuration_the_best_validation_value_is_the_best_choice():
    """Seeds that differ in merit, seen through noise, one of them picked by the search: the highest value is best."""
    chance = np.random.default_rng(4)
    best, nearest, first = [], [], []
    for _ in range(4000):
        merit = chance.normal(0, 1, (12, 4))  # twelve configurations alike, four seeds of each
        seen = merit + chance.normal(0, 1, merit.shape)
        winner = seen[:, 0].argmax()  # what the search picked, for its first seed
        own, values = merit[winner], seen[winner]
        best.append(own[values.argmax()])
        nearest.append(own[abs(values - values[1:].mean()).argmin()])
        first.append(own[0])
    assert np.mean(best) > max(np.mean(nearest), np.mean(first)) + 0.02


@pytest.mark.parametrize(("field", "value"), itertools.product(("top", "seeds"), (0, -1)))
def test_an_option_out_of_range_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} must be at least 1"):
        Confirm(**{field: value})
