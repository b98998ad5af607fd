"""Searches that a budget ends: what is counted, what stops, what wins; by workers that evaluate from a table, in no time."""

import math

import pytest

from ftkit import events
from ftkit.contracts.settings import Search
from ftkit.errors import SearchError
from ftkit.evaluation import selection
from ftkit.runs import ledger
from ftkit.searching.budget import ENDED, FACT, Budget


def ends(trials):
    """How each trial ended, and after how many evaluations."""
    return [(trial.state, len(trial.history)) for trial in trials]


RISING = [[0.6, 0.7, 0.8], [0.7, 0.9, 0.95], [0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("settings", "ends_early", "expected", "winner"),
    [
        # Three trials of 30 minutes fit into 95; the fourth would end after 100, and keeps its first evaluation.
        ({"max_minutes": 95, "trials": 5}, True, [("finished", 3)] * 3 + [("finished", 1)], 1),
        # Evaluations after 10, 20, 30 | 40, 50: the budget is over at the second evaluation of trial 1, which wins by it.
        ({"max_minutes": 45, "trials": 5}, True, [("finished", 3), ("finished", 2)], 1),
        ({"max_minutes": 45, "trials": 5}, False, [("finished", 3), ("stopped", 2)], 0),
        # No trial has finished by then: the only one keeps what it has, or goes on to its end where it would have no model.
        ({"max_minutes": 5, "trials": 5}, True, [("finished", 1)], 0),
        ({"max_minutes": 5, "trials": 5}, False, [("finished", 3)], 0),
        # Two at a time: of those that have no model yet, the best goes on, here 0.6 and 0.7, 0.7 and 0.9, then 0.8 is stopped.
        ({"max_minutes": 15, "trials": 5, "concurrency": 2}, True, [("finished", 1)] * 2, 1),
        ({"max_minutes": 15, "trials": 5, "concurrency": 2}, False, [("stopped", 3), ("finished", 3)], 1),
        # 6 an hour is 1 for 10 minutes of a trial; two trials at a time cost twice as much.
        ({"max_cost": 4.5, "price_per_trial_hour": 6, "trials": 5}, True, [("finished", 3), ("finished", 2)], 1),
        # When trial 1 has evaluated, trial 0 has run for 30 minutes and trial 1 for 20.
        (
            {"max_cost": 4.5, "price_per_trial_hour": 6, "trials": 5, "concurrency": 2},
            True,
            [("finished", 2), ("finished", 1)],
            0,
        ),
        # The first limit ends it.
        ({"max_minutes": 45, "max_cost": 1.5, "price_per_trial_hour": 6, "trials": 5}, True, [("finished", 2)], 0),
        # Enough for all: nothing is said.
        ({"max_minutes": 91, "trials": 3}, True, [("finished", 3)] * 3, 1),
    ],
)
def test_a_spent_budget_ends_the_search_with_a_winner(searched, settings, ends_early, expected, winner):
    trials, book, _, emitted = searched(RISING, ends_early=ends_early, **settings)
    assert ends(trials) == expected
    assert selection.best_trial(trials, "roc_auc").number == winner
    said = [event for event in emitted if isinstance(event, events.BudgetSpent)]
    assert len(said) == len(book.facts(ENDED)) == (len(trials) < settings["trials"])
    for event in said:
        assert event.used >= event.limit == settings[event.option]
        assert event.option in event.sentence


def test_a_repeat_is_stopped_by_the_budget_and_left_out_of_the_mean(searched):
    confirm = {"top": 1, "seeds": 3}
    # 30 minutes for the trial, 30 for its first repeat, 10 for the second.
    trials, _, started, _ = searched(
        [[0.6, 0.7, 0.8], [0.6, 0.7, 0.7], [0.9]], trials=1, confirm=confirm, max_minutes=65
    )
    assert started == [0, 1, 2]
    assert ends(trials) == [("finished", 3), ("finished", 3), ("stopped", 1)]
    (spread,) = selection.spreads(trials, "roc_auc")
    assert (spread.finished, spread.failed, spread.mean) == (1, 0, 0.7)
    assert selection.best_trial(trials, "roc_auc").number == 0


@pytest.mark.parametrize("minutes", [30, 35])
def test_without_a_whole_repeat_the_search_decides(searched, minutes):
    trials, _, _, emitted = searched(RISING, trials=1, confirm={"top": 1, "seeds": 2}, max_minutes=minutes)
    assert selection.spreads(trials, "roc_auc") == []
    assert selection.best_trial(trials, "roc_auc").number == 0
    assert any(isinstance(event, events.ConfirmationStarted) for event in emitted) is (minutes == 35)


def test_attempts_that_were_killed_count_and_are_made_again_only_while_nothing_has_finished(searched):
    # 10 minutes to the first kill, 10 to the second: a trial has failed. The budget is over when trial 1 evaluates.
    trials, _, started, _ = searched([[None], [0.6, 0.7]], trials=4, max_minutes=25)
    assert started == [0, 0, 1]
    assert ends(trials) == [("failed", 0), ("finished", 1)]
    assert trials[0].attempts == 2


def test_past_the_budget_a_failed_attempt_is_not_made_again_where_something_has_finished(searched):
    trials, _, started, _ = searched([[0.6], [None]], trials=4, max_minutes=15)
    assert started == [0, 1]
    assert ends(trials) == [("finished", 1), ("failed", 0)]


def test_past_the_budget_no_trial_is_proposed_where_nothing_can_win(searched):
    with pytest.raises(SearchError, match="none of the 1 trials finished"):
        searched([[None]], trials=4, max_minutes=15)


def begun(number):
    return ("trial-started", {"number": number, "values": {}, "seed": 7 + number})


USED = (FACT, {"seconds": 3000.0, "trial_seconds": 3000.0})


def finished(number):
    trial = {"number": number, "values": {}, "seed": 7 + number, "state": "finished", "metrics": {"roc_auc": 0.5}}
    return ("trial", {"trial": trial | {"history": [{"epoch": 1, "roc_auc": 0.5}], "epoch": 1}})


@pytest.mark.parametrize(
    ("facts", "minutes", "started", "expected"),
    [
        # 50 minutes were used: 10 more, and the budget is over at the second evaluation.
        ([begun(0), USED], 65, [0], [("finished", 2)]),
        # It was over when the run was killed: one of the trials that had begun goes on to its next evaluation.
        ([begun(0), begun(1), USED], 45, [0], [("finished", 1)]),
        # Something has finished: nothing starts.
        ([begun(0), finished(0), begun(1), USED], 45, [], [("finished", 1)]),
        # Of two facts, the later one counts.
        ([(FACT, {"seconds": 60.0, "trial_seconds": 60.0}), begun(0), USED], 45, [0], [("finished", 1)]),
    ],
)
@pytest.mark.parametrize("limit", ["max_minutes", "max_cost"])
def test_what_was_used_before_an_interruption_counts(searched, facts, minutes, started, expected, limit):
    settings = {"max_minutes": minutes} if limit == "max_minutes" else {"max_cost": minutes, "price_per_trial_hour": 60}
    if finished(0) in facts:
        trials, book, begun_now, emitted = searched_with_model(searched, facts, settings)
    else:
        trials, book, begun_now, emitted = searched(RISING, trials=3, facts=facts, **settings)
    assert (begun_now, ends(trials)) == (started, expected)
    assert sum(isinstance(event, events.BudgetSpent) for event in emitted) == 1
    used = book.fact(ENDED)["used"]
    assert used == pytest.approx(50 + 10 * (0 if not started else expected[0][1]))
    assert book.fact(FACT)["seconds"] == pytest.approx(60 * used)


def searched_with_model(searched, facts, settings):
    """As `searched`, with the model that a finished trial of the journal has left."""
    runs = []

    def emit(event):
        runs.append(event)
        if isinstance(event, events.SearchStarted):
            for folder in ledger.runs()[0].folder.glob("trials"):
                folder.mkdir(exist_ok=True)
            (ledger.runs()[0].trial_folder(0) / "model").mkdir(parents=True, exist_ok=True)

    trials, book, started, _ = searched(RISING, trials=3, facts=facts, emit=emit, **settings)
    return trials, book, started, runs


def test_a_search_that_is_interrupted_between_evaluations_has_written_down_what_it_used(searched):
    def interrupt(event):
        if isinstance(event, events.TrialReported) and event.numbers["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(RISING, trials=3, max_minutes=45, emit=interrupt)
    # 20 minutes are gone. The trial begins again, and is at its third evaluation when 50 are.
    trials, book, started, _ = searched(RISING, trials=3, max_minutes=45)
    assert (started, ends(trials)) == ([0], [("finished", 3)])
    assert book.fact(FACT) == book.fact(FACT) | {"seconds": 3000.0, "trial_seconds": 3000.0}


def test_a_search_without_a_budget_writes_no_times(searched):
    trials, book, _, _ = searched(RISING, trials=1)
    assert ends(trials) == [("finished", 3)]
    assert not book.facts(FACT)


class Running:
    def __init__(self, started):
        self.started = started


@pytest.mark.parametrize(
    ("calls", "seconds", "trial_seconds"),
    [
        # Pairs of the clock and of when those that run were started.
        ([(1060, [1000])], 60, 60),
        ([(1060, [1000, 1000])], 60, 120),
        ([(1060, [1000, 1040])], 60, 80),
        ([(1060, [1000]), (1100, [1000, 1080])], 100, 120),
        ([(1060, []), (1100, [1090])], 10, 10),
        ([(1060, [math.inf]), (1100, [math.inf, 1050])], 40, 40),  # one waits for its place; the other was counted late
        ([(1060, [900])], 60, 60),  # what was before this process began is in the journal
    ],
)
def test_time_is_counted_by_the_clock_and_by_trial(tmp_path, clock, calls, seconds, trial_seconds):
    book = ledger.Ledger(tmp_path)
    budget = Budget(Search(max_minutes=60), book, lambda event: None, clock)
    for now, started in calls:
        clock.seconds = float(now)
        budget.count([Running(each) for each in started], write=True)
    assert (budget.seconds, budget.trial_seconds) == (seconds, trial_seconds)
    again = Budget(Search(max_minutes=60), ledger.Ledger(tmp_path), lambda event: None, clock)
    assert (again.seconds, again.trial_seconds) == (seconds, trial_seconds)


def test_what_is_used_is_written_down_every_half_minute(tmp_path, clock):
    book = ledger.Ledger(tmp_path)
    budget = Budget(Search(max_minutes=60), book, lambda event: None, clock)
    for _ in range(100):
        clock.seconds += 1
        budget.count([Running(1000)])
    assert [fact["seconds"] for fact in book.facts(FACT)] == [30, 60, 90]
