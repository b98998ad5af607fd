"""Components that break what ftkit relies on, each in the way that its option `how` names; `tests/stages/test_contracts.py` runs them.

Their trials train in the process of the run, so that a run takes a second.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ftkit import hookimpl, remote, runner
from ftkit.contracts import Data, Emit, Outcome, Report, Split, Trial
from ftkit.contracts.plan import Plan
from ftkit.remote.trial_step import train
from ftkit.runs.ledger import Ledger
from ftkit.testing.toys import ToyClassifier, ToyReviews, ToyWords


@dataclass(frozen=True, kw_only=True)
class BrokenReviews(ToyReviews):
    """Reviews that are no sound data."""

    name: ClassVar[str] = "broken-reviews"
    how: str = ""
    """What is wrong with them."""

    def load(self, seed: int, emit: Emit) -> Data:
        return _DATA[self.how](super().load(seed, emit))


def _split(name: str, **changes: Any) -> Any:
    """Changes one split by functions of its fields."""

    def change(data: Data) -> Data:
        split = getattr(data, name)
        return replace(data, **{name: replace(split, **{key: make(split) for key, make in changes.items()})})

    return change


def _report(**changes: Any) -> Any:
    return lambda data: replace(data, report=replace(data.report, **changes))


def _no_good_row_trained(data: Data) -> Data:
    bad = [text for text, label in zip(data.train.texts, data.train.labels, strict=True) if not label]
    return replace(data, train=Split(tuple(bad), (0,) * len(bad)))


_DATA: dict[str, Any] = {
    "": lambda data: data,
    "no test": lambda data: replace(data, test=Split((), ())),
    "no valid": lambda data: replace(data, valid=Split((), ())),
    "test is train": lambda data: replace(data, test=data.train),
    "one text twice": _split(
        "test",
        texts=lambda split: (*split.texts, "A text  of both"),
        labels=lambda split: (*split.labels, 0),
    ),
    "label out of range": _split("valid", labels=lambda split: (*split.labels[:-1], 2)),
    "label below zero": _split("test", labels=lambda split: (-1, *split.labels[1:])),
    "label is a name": _split("train", labels=lambda split: ("good", *split.labels[1:])),
    "label is true": _split("train", labels=lambda split: (True, *split.labels[1:])),
    "label is a float": _split("train", labels=lambda split: (0.0, *split.labels[1:])),
    "text is missing": _split("test", texts=lambda split: (None, *split.texts[1:])),
    "too few labels": _split("train", labels=lambda split: split.labels[1:]),
    "short column": _split("test", columns=lambda split: {"shop": ("x",)}),
    "column of objects": _split("test", columns=lambda split: {"shop": (object(),) * len(split)}),
    "class twice": lambda data: replace(data, classes=("good", "good")),
    "one class": lambda data: replace(data, classes=("good",)),
    "class is a number": lambda data: replace(data, classes=(0, 1)),
    "classes in one text": lambda data: replace(data, classes="ab"),
    "class without rows": lambda data: replace(data, classes=(*data.classes, "fair")),
    "class not trained": _no_good_row_trained,
    "wrong counts": _report(counts={"train": {"bad": 9, "good": 9}}),
    "wrong sum": _report(rows_read=99),
    "no fingerprint": _report(fingerprint=""),
    "no report": lambda data: replace(data, report=None),
    "no columns": lambda data: replace(data, valid=replace(data.valid, columns=None)),
    "texts once": lambda data: replace(data, valid=replace(data.valid, texts=iter(data.valid.texts))),
}


class Breaks:
    """A toy classifier that breaks a promise."""

    def __init__(self, inner: ToyClassifier, how: str) -> None:
        self.inner, self.how, self.classes = inner, how, inner.classes
        if how == "classes reordered by fit":
            self.classes = inner.classes[::-1]
        elif how == "classes lost by fit":
            del self.classes

    def probabilities(self, texts: Sequence[str]) -> Any:
        return self.inner.probabilities(texts)

    def save(self, folder: Path) -> None:
        self.inner.save(folder)
        if self.how == "pickle":
            (folder / "vectors.bin").write_bytes(pickle.dumps({"a": 1}))
        elif self.how == "link":
            (folder / "vocab.txt").symlink_to(__file__)
        elif self.how == "classes renamed by save":
            (folder / "classes.json").write_text(json.dumps(["LABEL_0", "LABEL_1"]))
        elif self.how == "classes reordered by save":
            (folder / "classes.json").write_text(json.dumps(["good", "bad"]))


class Answers:
    """A loaded toy classifier that answers wrongly."""

    def __init__(self, inner: ToyClassifier, how: str) -> None:
        self.inner, self.how, self.classes = inner, how, inner.classes

    def probabilities(self, texts: Sequence[str]) -> Any:
        probabilities = self.inner.probabilities(texts)
        match self.how:
            case "answers of another shape":
                return probabilities[:, :1]
            case "answers to fewer texts":
                return probabilities[:1]
            case "answers that are NaN":
                return probabilities * np.nan
            case "logits":
                return np.log(probabilities) * 3
            case "scores":
                return probabilities * 2
        return probabilities

    def save(self, folder: Path) -> None:
        self.inner.save(folder)


@dataclass(frozen=True, kw_only=True)
class BrokenWords(ToyWords):
    """A backbone that trains, and then breaks a promise."""

    name: ClassVar[str] = "broken-words"
    how: str = ""
    """Which promise."""

    def fit(self, data: Data, seed: int, report: Report) -> Any:
        if self.how == "reads the test file":
            assert data.cache is not None
            run = data.cache.parent
            seen = [path for path in run.rglob("*") if path.is_file() and b"order" in path.read_bytes()]
            assert {path.name for path in seen} <= {"train.arrow", "valid.arrow"}, seen
            Ledger(run).data(("test",))
        classifier = super().fit(data, seed, report)
        return None if self.how == "nothing" else Breaks(classifier, self.how)

    def load(self, folder: Path) -> Any:
        classifier = super().load(folder)
        how = (folder / "how.txt").read_text() if (folder / "how.txt").is_file() else ""
        if how == "does not load":
            raise KeyError("weights")
        return Answers(classifier, how)


@dataclass(frozen=True, kw_only=True)
class Unloadable(BrokenWords):
    """A backbone whose loaded models break the promise that their folder names."""

    name: ClassVar[str] = "unloadable"

    def fit(self, data: Data, seed: int, report: Report) -> Any:
        classifier = ToyWords.fit(self, data, seed, report)
        how = self.how

        class Marked(ToyClassifier):
            def save(self, folder: Path) -> None:
                super().save(folder)
                (folder / "how.txt").write_text(how)

        return Marked(classifier.classes, classifier.weights)


@dataclass(frozen=True, kw_only=True)
class BrokenHere:
    """Trains in this process, and then says something else of it."""

    name: ClassVar[str] = "broken-here"
    how: str = ""
    """What is wrong with what it returns."""

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        outcome = runner.carry_out(plan, emit, self.search)
        match self.how:
            case "another best":
                return replace(outcome, best=next(each for each in outcome.trials if each != outcome.best))
            case "outcome of fewer trials":
                return replace(outcome, trials=outcome.trials[:1])
            case "another folder":
                return replace(outcome, folder=outcome.folder.parent)
            case "no outcome":
                return outcome.trials  # type: ignore[return-value]
        return outcome

    def search(self, plan: Plan, ledger: Ledger, emit: Emit) -> Any:
        for number in range(plan.search.trials):
            self._train(plan, ledger, emit, number)
        return _TRIALS.get(self.how, lambda trials, ledger: trials)(ledger.trials(), ledger)

    def _train(self, plan: Plan, ledger: Ledger, emit: Emit, number: int) -> None:
        folder = ledger.trial_folder(number)
        data = ledger.data(("train", "valid"))
        trial = train(
            plan, data, folder, number=number, values={}, seed=number, emit=emit, place=f"trials/{number:03d}"
        )
        if self.how in _RECORDED:
            trial = replace(trial, **_RECORDED[self.how])
        if self.how == "no model":
            (folder / "model").rename(folder / "elsewhere")
        if self.how != "not in the journal":
            ledger.record_trial(trial)


_RECORDED: dict[str, Any] = {
    "no metrics": {"metrics": {}},
    "metrics are NaN": {"metrics": {"roc_auc": float("nan")}},
    "unknown state": {"state": "done"},
    "other values": {"values": {"decay": 0.5}},
    "metrics are none": {"metrics": None},
}


def _unrecorded(trials: list[Trial], ledger: Ledger) -> list[Trial]:
    made_up = {"number": 0, "values": {}, "seed": 1, "metrics": {"roc_auc": 1.0}, "state": "finished"}
    return [Trial(**{**made_up, "number": number}) for number in range(3)]


_TRIALS: dict[str, Any] = {
    "one of three": lambda trials, ledger: trials[:1],
    "not in the journal": _unrecorded,
    "one number twice": lambda trials, ledger: [*trials, trials[0]],
    "a better result": lambda trials, ledger: [replace(trials[0], metrics={"roc_auc": 1.0}), *trials[1:]],
    "four where three were returned": lambda trials, ledger: [*trials, replace(trials[0], number=3)],
    "one left out": lambda trials, ledger: [trials[0], trials[2], replace(trials[1], number=7)],
    "no list": lambda trials, ledger: {trial.number: trial for trial in trials},
    "number is a text": lambda trials, ledger: [replace(trials[0], number="0"), *trials[1:]],
}


@dataclass(frozen=True, kw_only=True)
class BrokenService:
    """Carries out the decision of a service that lists other trials than were asked for."""

    name: ClassVar[str] = "broken-service"
    how: str = ""
    """What is wrong with the list."""

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        return runner.carry_out(plan, emit, self.search)

    def search(self, plan: Plan, ledger: Ledger, emit: Emit) -> Any:
        data = ledger.data(("train", "valid"))

        def fetch(trial: Trial, folder: Path) -> None:
            train(plan, data, folder, number=trial.number, values={}, seed=trial.number, emit=emit)

        folder = ledger.folder / "service"
        made = [train(plan, data, folder, number=each, values={}, seed=each, emit=emit) for each in range(1)]
        listed = [remote.ServiceTrial(each) for each in made]
        return remote.collected(listed, fetch, "minutes" if self.how == "limit" else "")(plan, ledger, emit)


@hookimpl
def datasets() -> list[type[Any]]:
    return [BrokenReviews]


@hookimpl
def backbones() -> list[type[Any]]:
    return [BrokenWords, Unloadable]


@hookimpl
def platforms() -> list[type[Any]]:
    return [BrokenHere, BrokenService]
