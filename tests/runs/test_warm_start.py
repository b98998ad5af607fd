"""What a search takes from an earlier run: which trials, what is said of the others, and that the other run may go."""

import shutil

import pytest

from ftkit.contracts import Trial, space
from ftkit.contracts.space import Choice, Int, LogUniform, Uniform
from ftkit.errors import UsageError
from ftkit.runs import ledger, preview, warm_start
from ftkit.testing import toys

SPACE = {"learning_rate": [0.1, 1.0, 10.0], "decay": {"low": 0.0, "high": 0.1}}
HERE = {"learning_rate": 1.0, "decay": 0.05}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Makes a plan and its ledger; `trials` are written into it as (values, state, metric's value)."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))

    def begun(trials=(), fingerprint="same", **settings):
        overrides = {"search.space": SPACE} | {f"search.{key}": value for key, value in settings.items()}
        plan = toys.plan(tmp_path, overrides)
        book, _ = ledger.begin(plan.name, plan.text, fresh=True)
        book.append("data", fingerprint=fingerprint)
        for number, (values, state, value) in enumerate(trials):
            scores = {} if value is None else {plan.search.metric: value}
            history = ({"epoch": 1, **scores},)
            book.record_trial(Trial(number, values, 7, state, history=history, metrics=scores, epoch=1))
        return plan, book

    with toys.install(tmp_path / "plugins"):
        yield begun


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (Choice((1, "two", (0.9, 0.99), True)), [1, "two", [0.9, 0.99], True], [1.0, "one", [0.9], False, None]),
        (Int(2, 8, step=2), [2, 8], [3, 0, 10, 4.0, True, "4"]),
        (Int(1, 1024, log=True), [1, 7, 1024], [0, 1025, 2.5]),
        (Uniform(0.0, 0.3), [0, 0.3, 0.123], [-0.1, 0.31, "0.1", None, True, [0.1]]),
        (Uniform(0.0, 0.3, step=0.1), [0.1, 0.3], [0.15, 0.4]),
        (LogUniform(1e-6, 1e-4), [1e-6, 3e-5], [1e-7, 1]),
    ],
)
def test_a_dimension_holds_its_values_alone(dimension, inside, outside):
    assert [value for value in inside if not space.holds(dimension, value)] == []
    assert [value for value in outside if space.holds(dimension, value)] == []


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        ((HERE, "finished", 0.9), ""),
        ((HERE, "stopped", 0.6), ""),
        ((HERE, "failed", None), "failed"),
        ((HERE, "finished", float("nan")), "without a value of roc_auc"),
        ((HERE, "finished", None), "without a value of roc_auc"),
        ((HERE | {"decay": 0.2}, "finished", 0.9), "outside this space"),
        ((HERE | {"learning_rate": 2.0}, "finished", 0.9), "outside this space"),
        (({"learning_rate": 1.0}, "finished", 0.9), "of other fields"),
        ((HERE | {"epochs": 3}, "finished", 0.9), "of other fields"),
    ],
)
def test_trials_that_do_not_fit_are_left_out_and_counted(runs, trial, reason):
    _, earlier = runs([(HERE, "finished", 0.8), trial, trial])
    plan, book = runs(start_from=earlier.run)
    warm_start.take(plan, book)
    assert [each.number for each in warm_start.taken(book)] == ([0] if reason else [0, 1, 2])
    ((text, warning),) = warm_start.notices(plan, book)
    assert (f"1 trial of {earlier.run}; left out: 2 {reason}." if reason else f"3 trials of {earlier.run}.") in text
    assert not warning


def test_repeats_are_not_taken(runs):
    _, earlier = runs([(HERE, "finished", 0.8)])
    earlier.record_trial(Trial(1, HERE, 8, "finished", metrics={"roc_auc": 0.9}, repeats=0))
    plan, book = runs(start_from=earlier.run)
    warm_start.take(plan, book)
    assert [each.number for each in warm_start.taken(book)] == [0]


def test_what_was_taken_stays_when_the_other_run_is_gone(runs):
    _, earlier = runs([(HERE, "finished", 0.8)])
    plan, book = runs(start_from=earlier.run)
    warm_start.take(plan, book)
    shutil.rmtree(earlier.folder)
    again = ledger.Ledger(book.folder)
    warm_start.take(plan, again)
    assert warm_start.taken(again) == warm_start.taken(book)
    assert warm_start.taken(again)[0].values == HERE
    assert len(again.facts(warm_start.FACT)) == 1


def test_a_run_can_be_named_by_its_folder(runs):
    _, earlier = runs([(HERE, "finished", 0.8)])
    plan, book = runs(start_from=str(earlier.folder))
    warm_start.take(plan, book)
    assert len(warm_start.taken(book)) == 1


def test_other_data_and_another_backbone_are_warnings(runs):
    _, earlier = runs([(HERE, "finished", 0.8)], fingerprint="other")
    (earlier.folder / "recipe.toml").write_text(earlier.recipe.replace("toy-words", "toy-lines"))
    plan, book = runs(start_from=earlier.run)
    warm_start.take(plan, book)
    warnings = [text for text, warning in warm_start.notices(plan, book) if warning]
    assert len(warnings) == 2
    assert "was trained on other data" in warnings[0]
    assert "'toy-lines', and this recipe trains 'toy-words'" in warnings[1]


@pytest.mark.parametrize(
    ("trials", "earlier_settings", "settings", "what", "hint"),
    [
        ([], {}, {}, "has no trials", "`ftkit runs` lists them"),
        (
            [(HERE, "failed", None)],
            {},
            {},
            "no trial of .* fits this search: 1 failed",
            "learning_rate, decay by roc_auc",
        ),
        ([(HERE, "finished", 0.9)] * 2, {"metric": "mcc"}, {}, "2 judged by mcc", "by roc_auc"),
        ([({"epochs": 2}, "finished", 0.9)], {}, {}, "1 of other fields", "Search learning_rate, decay"),
        (
            [({"learning_rate": rate}, "finished", 0.9) for rate in (0.1, 1.0, 10.0)],
            {},
            {"sampler": "grid", "space": {"learning_rate": [0.1, 1.0, 10.0]}},
            "has tried every combination of the grid",
            "Add values",
        ),
    ],
)
def test_a_run_that_has_nothing_to_start_from_is_refused_before_the_data_are_read(
    runs, trials, earlier_settings, settings, what, hint
):
    _, earlier = runs(trials, **earlier_settings)
    plan, book = runs(start_from=earlier.run, **settings)
    for look in (lambda: warm_start.take(plan, book), lambda: preview.preview(plan)):
        with pytest.raises(UsageError, match=what) as caught:
            look()
        assert caught.value.where == "search.start_from"
        assert hint in caught.value.hint
        assert "Or remove start_from." in caught.value.hint
    assert not book.facts(warm_start.FACT)


def test_a_run_that_does_not_exist_is_named_with_those_that_do(runs):
    _, earlier = runs([(HERE, "finished", 0.8)])
    plan, book = runs(start_from="nonesuch")
    with pytest.raises(UsageError, match=r"search.start_from: there is no run 'nonesuch'") as caught:
        warm_start.take(plan, book)
    assert earlier.run in caught.value.hint


def test_the_preview_says_where_the_search_starts_and_what_it_may_use(runs):
    _, earlier = runs([(HERE, "finished", 0.8)])
    plan, _ = runs(start_from=earlier.run, max_minutes=90, max_cost=12.5, price_per_trial_hour=3)
    (step,) = [step.says for step in preview.preview(plan).steps if step.stage == "search"]
    assert f"starting from 1 trial of {earlier.run}" in step
    assert "for at most 90 minutes, at a cost of at most 12.5" in step
