"""What breaks a contract ends a run with an error that names plugin and component, what is wrong and the cure; never with a promotion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import ftkit
from ftkit.contracts import Outcome
from ftkit.errors import ExitCode, FtkitError
from ftkit.testing import toys

RECIPE = """\
name = "broken"
seed = 7

[dataset]
use = "broken-reviews"
rows = 120

[backbone]
use = "broken-words"
epochs = 1

[search]
metric = "roc_auc"
trials = 3

[run]
on = "broken-here"
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A recipe over the broken components, whose plugin this process and its children find."""
    root = Path(__file__).parent.parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    folder = tmp_path / "plugins" / "breakers-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: breakers\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[ftkit]\nbreakers = tests.contract_breakers\n")
    path = tmp_path / "broken.toml"
    path.write_text(RECIPE)
    with toys.install(tmp_path / "plugins"):
        yield path


def run(recipe: Path, **overrides: object) -> Outcome:
    return ftkit.run(recipe, {key.replace("__", "."): value for key, value in overrides.items()}, emit=lambda _: None)


def refused(recipe: Path, *, trials: int = 1, **overrides: object) -> FtkitError:
    with pytest.raises(FtkitError) as caught:
        run(recipe, search__trials=trials, **overrides)
    assert caught.value.exit_code in (ExitCode.STAGE, ExitCode.PLUGIN)
    assert caught.value.hint
    return caught.value


def test_components_that_break_nothing_are_promoted(recipe: Path) -> None:
    assert run(recipe).promoted
    assert run(recipe, backbone__use="unloadable", search__trials=1).promoted


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("no test", "an empty test split"),
        ("no valid", "an empty valid split"),
        ("test is train", "test texts that are in train as well, such as '"),
        ("label out of range", "a valid label out of range, in row 11: 2, of 2 classes"),
        ("label below zero", "a test label out of range, in row 0: -1"),
        ("label is a name", "a train label that is no index of a class, in row 0: 'good'"),
        ("label is true", "a train label that is no index of a class, in row 0: True"),
        ("label is a float", "a train label that is no index of a class, in row 0: 0.0"),
        ("text is missing", "a test text that is no string, in row 0: None"),
        ("too few labels", "values in 'labels'"),
        ("short column", "1 values in 'shop'"),
        ("column of objects", "a test column that JSON cannot hold: 'shop'"),
        ("class twice", "the class 'good' twice"),
        ("one class", "1 class"),
        ("class is a number", "a class that is no name: 0, 1"),
        ("classes in one text", "`classes` of type str"),
        ("class without rows", "no training row of the class 'fair'"),
        ("class not trained", "no training row of the class 'good'"),
        ("wrong counts", "a report that counts 9 train rows of 'bad', and there are"),
        ("wrong sum", "a report of 99 rows that were read, and 120 in the splits with 0 dropped make 120"),
        ("no fingerprint", "a report without a fingerprint"),
        ("no report", "a report of type NoneType"),
        ("no columns", "data that cannot be read: AttributeError"),
        ("texts once", "data that cannot be read: TypeError"),
    ],
)
def test_data_that_is_not_sound_is_refused_before_anything_is_trained(recipe: Path, how: str, expected: str) -> None:
    error = refused(recipe, dataset__how=how)
    assert error.what.startswith("the dataset 'broken-reviews' of breakers 1 loaded ")
    assert expected in error.what
    assert "generated" in error.where or how == "no report"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("one of three", "1 of 3 trials"),
        ("not in the journal", "trial 0, which is not in the run's journal"),
        ("one number twice", "two trials of number 0"),
        ("a better result", "trial 0 with other results than the run's journal has"),
        ("four where three were returned", "trial 3, which is not in the run's journal"),
        ("one left out", "trial 7, which is not in the run's journal"),
        ("no list", "dict in place of trials"),
        ("number is a text", "a trial of number '0'"),
        ("no metrics", "trial 0 as finished without roc_auc, the metric that decides"),
        ("metrics are NaN", "trial 0 as finished with roc_auc = nan"),
        ("unknown state", "trial 0 in the state 'done'"),
        ("other values", "trial 0 with values of decay, and the recipe searches nothing"),
        ("metrics are none", "trials that cannot be read: TypeError"),
        ("no model", "no model of trial"),
        ("another best", "as the best, which the run did not select"),
        ("outcome of fewer trials", "1 of 3 trials"),
        ("another folder", "holds no run"),
    ],
)
def test_trials_that_are_not_what_the_journal_has_are_refused(recipe: Path, how: str, expected: str) -> None:
    error = refused(recipe, run__how=how, trials=3)
    assert error.what.startswith("the platform 'broken-here' of breakers 1 returned ")
    assert expected in error.what
    assert error.where == "[run] of the recipe"


def test_a_platform_that_returns_no_outcome_is_refused(recipe: Path) -> None:
    error = refused(recipe, run__how="no outcome", trials=1)
    assert "the platform 'broken-here' of breakers 1 returned" in error.what


def test_a_service_that_lists_too_few_trials_is_refused(recipe: Path) -> None:
    error = refused(recipe, run__on="broken-service", trials=3)
    assert "the platform 'broken-service' of breakers 1 returned 1 of 3 trials" in error.what


def test_trials_that_a_service_did_not_begin_because_of_its_limit_have_failed(recipe: Path) -> None:
    outcome = run(recipe, run__on="broken-service", run__how="limit")
    assert outcome.promoted
    assert [trial.state for trial in outcome.trials] == ["finished", "failed", "failed"]
    assert outcome.trials[2].error == "the service ended its search before this trial began (minutes)"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("classes reordered by fit", "with its classes in another order: 'good', 'bad', not 'bad', 'good'"),
        ("classes lost by fit", "returned an object of Breaks, not Classifier"),
        (
            "classes renamed by save",
            "of other classes than those it was trained on: without 'bad', 'good' and with 'LABEL_0'",
        ),
        ("classes reordered by save", "with its classes in another order"),
        ("pickle", "vectors.bin (a pickle)"),
        ("link", "vocab.txt"),
        ("nothing", "returned None"),
        ("reads the test file", "the test rows are closed while a trial trains"),
    ],
)
def test_a_backbone_that_breaks_a_promise_is_refused(recipe: Path, how: str, expected: str) -> None:
    error = refused(recipe, backbone__how=how)
    assert expected in error.what
    assert "'broken-words' of breakers 1" in error.what or how in ("link", "reads the test file")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("answers of another shape", "an array of shape"),
        ("answers to fewer texts", "an array of shape (1, 2), not (3, 2)"),
        ("answers that are NaN", "numbers that are NaN or infinite"),
        ("logits", "numbers that are no probabilities, such as"),
        ("scores", "they are from 0 to 1 and sum to 1 for every text"),
    ],
)
def test_a_model_that_answers_wrongly_once_it_is_loaded_is_refused(recipe: Path, how: str, expected: str) -> None:
    error = refused(recipe, backbone__use="unloadable", backbone__how=how)
    assert error.what.startswith("the backbone 'unloadable' of breakers 1: the model answers ")
    assert expected in error.what


def test_a_model_that_does_not_load_is_refused(recipe: Path) -> None:
    error = refused(recipe, backbone__use="unloadable", backbone__how="does not load")
    assert "load of the backbone 'unloadable' of breakers 1 failed: KeyError: 'weights'" in error.what


def test_a_worker_process_cannot_read_the_test_rows_either(recipe: Path) -> None:
    """The backbone reads every file of the run, and then asks ftkit for the test rows."""
    error = refused(recipe, backbone__how="reads the test file", run={"on": "local"})
    assert "the test rows are closed while a trial trains" in error.what
