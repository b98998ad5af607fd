"""Which values are proposed, and that an interruption does not change them."""

import math
import statistics

import pytest

from ftkit.contracts import Trial
from ftkit.contracts.settings import Search
from ftkit.contracts.space import Choice, Int, LogUniform, Uniform
from ftkit.searching import sampling

SMALL = {"learning_rate": Choice((3e-5, 5e-5, 7e-5)), "epochs": Int(2, 3)}
MIXED = {
    "checkpoint": Choice(("small", "large")),
    "cased": Choice((True, False)),
    "betas": Choice(((0.9, 0.999), (0.9, 0.98))),
    "one": Choice((1, 1.0)),
    "batch_size": Int(8, 29, step=8),
    "width": Int(1, 1024, log=True),
    "dropout": Uniform(0.0, 0.3, step=0.1),
    "warmup": Uniform(0.0, 0.1),
    "learning_rate": LogUniform(1e-6, 1e-4),
}


def carry_out(search, seed=7, score=lambda values: 0.5, trials=()):
    """Trials one after another, each proposed from nothing but those before it."""
    ended = list(trials)
    for number in range(len(ended), sampling.total(search)):
        values, trial_seed = sampling.propose(search, seed, number, ended, [])
        value = score(values)
        ended.append(
            Trial(
                number=number,
                values=values,
                seed=trial_seed,
                state="finished",
                history=({"epoch": 1, search.metric: value},),
                metrics={search.metric: value},
                epoch=1,
            )
        )
    return ended


def test_random_tries_every_combination_before_it_repeats_one():
    trials = carry_out(Search(trials=15, space=SMALL))
    combinations = [tuple(trial.values.values()) for trial in trials]
    assert len(set(combinations[:6])) == 6
    assert len(set(combinations[6:12])) == 6
    assert [trial.seed for trial in trials] == [7] * 6 + [8] * 6 + [9] * 3


def test_the_order_of_random_depends_on_the_seed_alone():
    first, again, other = (
        [trial.values for trial in carry_out(Search(trials=6, space=SMALL), seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_random_finds_the_last_combination_of_a_large_lopsided_space():
    space = {"width": Int(1, 300, log=True)}
    trials = carry_out(Search(trials=300, space=space))
    assert sorted(trial.values["width"] for trial in trials) == list(range(1, 301))


def test_a_grid_takes_its_combinations_in_turn_and_ends_with_the_last():
    combinations = [tuple(trial.values.values()) for trial in carry_out(Search(trials=20, sampler="grid", space=SMALL))]
    assert combinations == [(3e-5, 2), (3e-5, 3), (5e-5, 2), (5e-5, 3), (7e-5, 2), (7e-5, 3)]
    assert sampling.total(Search(trials=4, sampler="grid", space=SMALL)) == 4


def test_a_search_over_nothing_repeats_the_recipe_with_other_seeds():
    for sampler in ("random", "grid", "tpe"):
        trials = carry_out(Search(trials=3, sampler=sampler))
        assert [(trial.values, trial.seed) for trial in trials] == [({}, 7), ({}, 8), ({}, 9)]


def test_values_under_way_are_not_proposed_again():
    begun = []
    for number in range(6):
        values, _ = sampling.propose(Search(trials=6, concurrency=6, space=SMALL), 7, number, [], begun)
        assert values not in begun
        begun.append(values)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_kind_of_dimension_keeps_its_values(sampler):
    for trial in carry_out(Search(trials=25, sampler=sampler, space=MIXED)):
        values = trial.values
        assert values["checkpoint"] in ("small", "large")
        assert values["cased"] in (True, False)
        assert type(values["cased"]) is bool
        assert values["betas"] in ([0.9, 0.999], [0.9, 0.98])
        assert values["batch_size"] in (8, 16, 24)
        assert 1 <= values["width"] <= 1024
        assert type(values["width"]) is int
        assert values["dropout"] in (0.0, 0.1, 0.2, 0.3)
        assert 0 <= values["warmup"] <= 0.1
        assert 1e-6 <= values["learning_rate"] <= 1e-4


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("interrupted", [1, 14])
def test_an_interrupted_search_proposes_what_an_uninterrupted_one_does(sampler, interrupted):
    search = Search(trials=18, sampler=sampler, space=MIXED)

    def score(values):
        return 1 - abs(values["dropout"] - 0.2) - abs(values["warmup"] - 0.05)

    whole = carry_out(search, score=score)
    resumed = carry_out(search, score=score, trials=whole[:interrupted])
    assert resumed == whole


def test_tpe_learns_where_the_good_values_are():
    search = Search(trials=40, sampler="tpe", metric="log_loss", space={"learning_rate": LogUniform(1e-6, 1e-2)})

    def score(values):
        return abs(math.log10(values["learning_rate"] / 3e-4))

    first, last = [], []
    for seed in range(3):
        scores = [score(trial.values) for trial in carry_out(search, seed=seed, score=score)]
        first, last = first + scores[:10], last + scores[-15:]
    assert statistics.median(last) < 0.7 * statistics.median(first)


def test_tpe_takes_stopped_failed_and_running_trials_into_account():
    search = Search(trials=40, sampler="tpe", concurrency=3, space={"learning_rate": LogUniform(1e-6, 1e-2)})
    ended = carry_out(Search(trials=12, sampler="random", space=search.space))
    ended[3] = Trial(number=3, values=ended[3].values, seed=7, state="failed", error="killed")
    ended[4] = Trial(
        number=4,
        values=ended[4].values,
        seed=7,
        state="stopped",
        history=({"epoch": 1, "macro_f1": 0.1},),
        metrics={"macro_f1": 0.1},
    )
    one, _ = sampling.propose(search, 7, 12, ended, [])
    two, _ = sampling.propose(search, 7, 12, ended, [one])
    assert one != two
