"""Tests that every data set must pass, to inherit.

    class TestReviews(DatasetSuite):
        @pytest.fixture
        def component(self):
            return Reviews(path=FOLDER / "reviews.csv")

The component should load in a second or two, without a network, and have some hundred different texts.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import socket
from collections import Counter
from typing import Any, ClassVar

import pytest

from ftkit import options, pairs
from ftkit.contracts import SPLITS, Data, Dataset, OfflineCapable, capable
from ftkit.contracts.events import Event
from ftkit.data import splits
from ftkit.data.class_names import same_class
from ftkit.data.words import count_words
from ftkit.testing.components import ComponentSuite

SEED = 7


class DatasetSuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "datasets"

    @pytest.fixture
    def component(self) -> Dataset:
        """The data set under test, with options with which it loads on any machine."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def data(self, component: Dataset) -> Data:
        """The data that it loads with one seed."""
        return component.load(SEED, _ignore)

    def test_its_data_can_be_sent_to_another_process(self, data: Data) -> None:
        copy = pickle.loads(pickle.dumps(data))  # noqa: S301  # our own bytes
        assert copy == data, "what comes out of a pickle must equal what went in"

    def test_loading_leaves_the_component_as_it_was(self, component: Dataset) -> None:
        before = options.to_table(component)
        component.load(SEED, _ignore)
        assert options.to_table(component) == before, "loading changed an option"

    def test_texts_are_strings_and_labels_are_indices_of_classes(self, data: Data) -> None:
        assert len(data.classes) >= 2, "a classifier needs two classes"
        assert len(set(data.classes)) == len(data.classes), f"a class is there twice: {data.classes}"
        assert all(isinstance(name, str) and name == " ".join(name.split()) != "" for name in data.classes), (
            f"a class needs a name of one line, without spaces at its ends: {data.classes}"
        )
        assert len({same_class(name) for name in data.classes}) == len(data.classes), "one class written in two ways"
        for name in SPLITS:
            rows = getattr(data, name)
            assert len(rows.texts) == len(rows.labels), f"{name} has not as many labels as texts"
            assert all(isinstance(text, str) and text.strip() for text in rows.texts), f"{name} has empty texts"
            sides = [pairs.sides(text) for text in rows.texts] if len(data.fields) > 1 else []
            assert all(first.strip() and second.strip() for first, second in sides), (
                f"{name} has pairs with an empty side"
            )
            if data.task == "multi-label":
                assert all(isinstance(label, tuple) and [*label] == sorted({*label}) for label in rows.labels), (
                    f"labels of {name} are no tuples of rising class indices"
                )
            else:
                assert all(isinstance(label, int) for label in rows.labels), f"labels of {name} are no class indices"
            assert all(0 <= label < len(data.classes) for label in rows.each_label()), f"{name} has labels of no class"

    def test_every_class_is_in_every_split(self, component: Dataset, data: Data) -> None:
        classes = {name: set(getattr(data, name).each_label()) for name in SPLITS}
        assert classes["train"] == set(range(len(data.classes))), "a class without training rows"
        if self.given_splits(component):
            assert min(map(len, classes.values())) >= 2, "a split of one class measures nothing"
        else:
            assert classes == dict.fromkeys(SPLITS, classes["train"]), (
                "a split lacks a class: let ftkit.data.splits split the rows, or override `given_splits`"
            )

    def test_no_text_occurs_twice_in_one_split_or_in_two(self, data: Data) -> None:
        seen = Counter(splits.folded(text) for name in SPLITS for text in getattr(data, name).texts)
        twice = [text for text, count in seen.items() if count > 1]
        assert not twice, f"texts that are there twice, apart from case and spaces: {[text[:60] for text in twice[:3]]}"

    def test_columns_are_as_long_as_the_texts_and_can_be_stored(self, data: Data) -> None:
        assert len({tuple(getattr(data, name).columns) for name in SPLITS}) == 1, "splits have different columns"
        for name in SPLITS:
            rows = getattr(data, name)
            for key, values in rows.columns.items():
                assert len(values) == len(rows), f"{name} has {len(values)} values in {key!r} for {len(rows)} texts"
            stored = json.loads(json.dumps({key: list(values) for key, values in rows.columns.items()}))
            assert stored == {key: list(values) for key, values in rows.columns.items()}, (
                "columns hold what JSON cannot hold: use texts, numbers, true, false and None"
            )

    def test_the_same_seed_gives_the_same_data(self, component: Dataset, data: Data) -> None:
        assert component.load(SEED, _ignore) == data, "the same seed gave other rows: draw nothing but by the seed"

    def test_another_seed_gives_other_splits_of_the_same_rows(self, component: Dataset, data: Data) -> None:
        if self.given_splits(component):
            pytest.skip("this component has splits of its own, which no seed changes")
        other = component.load(SEED + 1, _ignore)
        assert set(other.train.texts) != set(data.train.texts), (
            "another seed gave the same train split: pass the seed on, or override `given_splits`"
        )
        assert other.report.fingerprint != data.report.fingerprint, "other splits need another fingerprint"
        assert other.report.rows_read == data.report.rows_read, "the seed changes which rows are read"

    def test_the_report_accounts_for_every_row(self, data: Data) -> None:
        report = data.report
        kept = sum(len(getattr(data, name)) for name in SPLITS)
        dropped = sum(report.dropped.values())
        assert report.rows_read == kept + dropped, (
            f"{report.rows_read} rows were read, {kept} kept, and {dropped} dropped by the report"
        )
        assert all(count > 0 for count in report.dropped.values()), "leave out reasons for which no row was dropped"
        assert report.source, "say where the rows came from"
        assert len(report.damaged_lines) <= dropped, "a damaged line is a row that was dropped"
        for name in SPLITS:
            labels = [*getattr(data, name).each_label()]
            by_class = {label: labels.count(index) for index, label in enumerate(data.classes)}
            assert dict(report.counts[name]) == by_class, f"the report counts other rows of {name} than there are"
            assert report.sizes[name] == len(getattr(data, name)), f"the report gives another size of {name}"

    def test_the_report_has_the_lengths_in_words(self, data: Data) -> None:
        words = sorted(count_words(text) for name in SPLITS for text in getattr(data, name).texts)
        ranks = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
        expected = {key: words[math.ceil(rank * len(words)) - 1] for key, rank in ranks.items()}
        assert dict(data.report.lengths) == expected, "lengths are quantiles of the words of all texts"

    def test_the_fingerprint_is_that_of_the_rows(self, data: Data) -> None:
        parts = [getattr(data, name) for name in SPLITS]
        assert data.report.fingerprint == splits.fingerprint(data.classes, parts), (
            "the fingerprint is not that of ftkit.data.splits.fingerprint"
        )
        swapped = [parts[0], parts[2], parts[1]]
        assert data.report.fingerprint != splits.fingerprint(data.classes, swapped), "valid and test have the same rows"

    def test_the_report_can_be_stored_as_json(self, data: Data) -> None:
        stored = json.loads(json.dumps(dataclasses.asdict(data.report)))
        assert stored["fingerprint"] == data.report.fingerprint, "the report is not the same after JSON"

    def test_it_emits_events_and_prints_nothing(self, component: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
        events: list[Any] = []
        component.load(SEED, events.append)
        assert all(isinstance(event, Event) for event in events), "give `emit` the events of ftkit.events only"
        assert capfd.readouterr() == ("", ""), "print nothing: give `emit` an event"

    def test_offline_makes_no_connection(self, component: Dataset, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
        if not capable(component, OfflineCapable):
            pytest.skip("this component has no option `offline`")

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a connection was opened although offline is set")

        for verb in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, verb, refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        offline: Any = dataclasses.replace(component, offline=True)  # type: ignore[type-var]
        assert offline.load(SEED, _ignore) == data, "offline changes the rows"

    def given_splits(self, component: Dataset) -> bool:
        """Override to return True where the data comes split, so that a seed does not change all splits."""
        return False


def _ignore(event: Event) -> None:
    """An emit for tests that need no events."""
