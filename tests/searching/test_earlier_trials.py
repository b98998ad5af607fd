"""Searches that start from an earlier run: what they propose, and that an interruption does not change it."""

import shutil

import pytest

from ftkit import events
from ftkit.contracts import Trial
from ftkit.contracts.settings import Search
from ftkit.contracts.space import Choice, LogUniform
from ftkit.searching import sampling

RATES = Choice((0.1, 0.3, 1.0, 3.0))
LISTED = {"learning_rate": [0.1, 0.3, 1.0, 3.0]}


def trials_of(values, scores=None, state="finished"):
    scores = scores or [0.5] * len(values)
    return [
        Trial(
            number=number,
            values={"learning_rate": value},
            seed=7,
            state=state,
            history=({"epoch": 1, "macro_f1": score},),
            metrics={"macro_f1": score},
            epoch=1,
        )
        for number, (value, score) in enumerate(zip(values, scores, strict=True))
    ]


def proposals(search, before, count):
    ended = []
    for number in range(count):
        values, seed = sampling.propose(search, 7, number, ended, [], before)
        ended.append(Trial(number, values, seed, "finished", metrics={search.metric: 0.5}))
    return [(trial.values["learning_rate"], trial.seed) for trial in ended]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([], [(0.1, 7), (0.3, 7), (1.0, 7), (3.0, 7)]),
        ([0.3], [(0.1, 7), (1.0, 7), (3.0, 7)]),
        ([3.0, 0.1, 0.1], [(0.3, 7), (1.0, 7)]),
    ],
)
def test_a_grid_leaves_out_what_was_tried(before, expected):
    search = Search(trials=9, sampler="grid", space={"learning_rate": RATES})
    assert sampling.total(search, len(set(before))) == len(expected)
    assert proposals(search, trials_of(before), len(expected)) == expected


def test_random_tries_the_rest_first_and_then_repeats_with_another_seed():
    search = Search(trials=6, space={"learning_rate": RATES})
    drawn = proposals(search, trials_of([0.1, 1.0]), 6)
    assert {value for value, _ in drawn[:2]} == {0.3, 3.0}
    assert [seed for _, seed in drawn] == [7, 7, 8, 8, 8, 8]


def test_tpe_learns_from_the_trials_of_an_earlier_run_as_from_its_own():
    search = Search(trials=40, sampler="tpe", space={"learning_rate": LogUniform(1e-6, 1e-2)})
    rates = [10 ** -(2 + 4 * number / 23) for number in range(24)]
    near = trials_of(rates, [1 - abs(rate / 1e-4 - 1) / 100 for rate in rates])
    cold, warm = ([rate for rate, _ in proposals(search, before, 6)] for before in ([], near))

    def close(values):
        return sum(1e-5 < value < 1e-3 for value in values)

    assert close(warm) > close(cold)
    as_its_own, _ = sampling.propose(search, 7, 24, near, [])
    as_earlier, _ = sampling.propose(search, 7, 24, [], [], near)
    assert as_earlier == as_its_own


def test_a_search_goes_on_as_it_began_when_the_earlier_run_is_gone(searched):
    curves = [[0.5], [0.9], [0.7], [0.6]]
    _, earlier, _, _ = searched(curves, trials=2, sampler="grid", space=LISTED)
    settings = {"trials": 9, "sampler": "grid", "space": LISTED, "start_from": earlier.run}

    def interrupt(event):
        if isinstance(event, events.TrialFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(curves, emit=interrupt, **settings)
    shutil.rmtree(earlier.folder)
    trials, _, started, emitted = searched(curves, **settings)
    assert [(trial.number, trial.values["learning_rate"]) for trial in trials] == [(0, 1.0), (1, 3.0)]
    assert started == [1]
    texts = [event.text for event in emitted if isinstance(event, events.Noticed)]
    assert texts[0] == f"The sampler starts from 2 trials of {earlier.run}."
    assert "2 combinations that were not tried before" in texts[1]


def test_trials_of_an_earlier_run_count_for_no_policy(searched):
    _, earlier, _, _ = searched([[0.9, 0.9]], trials=1, space=LISTED)
    policy = {"use": "bandit", "slack_factor": 0}
    trials, _, _, _ = searched([[0.5, 0.5]], trials=1, space=LISTED, policy=policy, start_from=earlier.run)
    assert [(trial.state, len(trial.history)) for trial in trials] == [("finished", 2)]
