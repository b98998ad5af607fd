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
from typing import Any

import pytest

from ftkit import options, pairs
from ftkit.contracts import SPLITS, Data, Dataset, OfflineCapable
from ftkit.contracts.events import Event
from ftkit.data import splits
from ftkit.data.class_names import same_class
from ftkit.data.words import count_words

SEED = 7


class DatasetSuite:
    """Inherit as a class named `Test…` and override the fixture `component`."""

    @pytest.fixture
    def component(self) -> Dataset:
        """The data set under test, with options with which it loads on any machine."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def data(self, component: Dataset) -> Data:
        """The data that it loads with one seed."""
        return component.load(SEED, _ignore)

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: Dataset) -> None:
        assert isinstance(component, Dataset)
        assert isinstance(type(component).name, str)
        assert dataclasses.is_dataclass(component)
        assert component.__dataclass_params__.frozen

    def test_every_option_is_documented(self, component: Dataset) -> None:
        undocumented = [option.name for option in options.options(type(component)) if not option.doc]
        assert not undocumented, f"write a string under the fields {undocumented}"

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: Dataset) -> None:
        assert options.build(type(component), options.to_table(component)) == component

    def test_it_can_be_sent_to_another_process(self, component: Dataset, data: Data) -> None:
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes
        assert pickle.loads(pickle.dumps(data)) == data  # noqa: S301  # our own bytes

    def test_loading_leaves_the_component_as_it_was(self, component: Dataset) -> None:
        before = options.to_table(component)
        component.load(SEED, _ignore)
        assert options.to_table(component) == before

    def test_texts_are_strings_and_labels_are_indices_of_classes(self, data: Data) -> None:
        assert len(data.classes) >= 2
        assert len(set(data.classes)) == len(data.classes)
        assert all(isinstance(name, str) and name == " ".join(name.split()) != "" for name in data.classes), (
            "one line each"
        )
        assert len({same_class(name) for name in data.classes}) == len(data.classes), "one class written in two ways"
        for name in SPLITS:
            rows = getattr(data, name)
            assert len(rows.texts) == len(rows.labels)
            assert all(isinstance(text, str) and text.strip() for text in rows.texts), f"{name} has empty texts"
            sides = [pairs.sides(text) for text in rows.texts] if len(data.fields) > 1 else []
            assert all(first.strip() and second.strip() for first, second in sides), (
                f"{name} has pairs with an empty side"
            )
            if data.task == "multi-label":
                assert all(isinstance(label, tuple) and [*label] == sorted({*label}) for label in rows.labels), "rising"
            else:
                assert all(isinstance(label, int) for label in rows.labels)
            assert all(0 <= label < len(data.classes) for label in rows.each_label())

    def test_every_class_is_in_every_split(self, component: Dataset, data: Data) -> None:
        classes = {name: set(getattr(data, name).each_label()) for name in SPLITS}
        assert classes["train"] == set(range(len(data.classes))), "a class without training rows"
        if self.given_splits(component):
            assert min(map(len, classes.values())) >= 2, "a split of one class measures nothing"
        else:
            assert classes == dict.fromkeys(SPLITS, classes["train"])

    def test_no_text_occurs_twice_in_one_split_or_in_two(self, data: Data) -> None:
        seen = Counter(splits.folded(text) for name in SPLITS for text in getattr(data, name).texts)
        assert [text for text, count in seen.items() if count > 1] == []

    def test_columns_are_as_long_as_the_texts_and_can_be_stored(self, data: Data) -> None:
        assert len({tuple(getattr(data, name).columns) for name in SPLITS}) == 1
        for name in SPLITS:
            rows = getattr(data, name)
            assert {key: len(values) for key, values in rows.columns.items()} == dict.fromkeys(rows.columns, len(rows))
            stored = json.loads(json.dumps({key: list(values) for key, values in rows.columns.items()}))
            assert stored == {key: list(values) for key, values in rows.columns.items()}

    def test_the_same_seed_gives_the_same_data(self, component: Dataset, data: Data) -> None:
        assert component.load(SEED, _ignore) == data

    def test_another_seed_gives_other_splits_of_the_same_rows(self, component: Dataset, data: Data) -> None:
        if self.given_splits(component):
            pytest.skip("this component has splits of its own, which no seed changes")
        other = component.load(SEED + 1, _ignore)
        assert set(other.train.texts) != set(data.train.texts)
        assert other.report.fingerprint != data.report.fingerprint
        assert other.report.rows_read == data.report.rows_read

    def test_the_report_accounts_for_every_row(self, data: Data) -> None:
        report = data.report
        kept = sum(len(getattr(data, name)) for name in SPLITS)
        assert report.rows_read == kept + sum(report.dropped.values())
        assert all(count > 0 for count in report.dropped.values())
        assert report.source
        assert len(report.damaged_lines) <= sum(report.dropped.values())
        for name in SPLITS:
            labels = [*getattr(data, name).each_label()]
            by_class = {label: labels.count(index) for index, label in enumerate(data.classes)}
            assert dict(report.counts[name]) == by_class
            assert report.sizes[name] == len(getattr(data, name))

    def test_the_report_has_the_lengths_in_words(self, data: Data) -> None:
        words = sorted(count_words(text) for name in SPLITS for text in getattr(data, name).texts)
        ranks = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
        assert dict(data.report.lengths) == {
            key: words[math.ceil(rank * len(words)) - 1] for key, rank in ranks.items()
        }

    def test_the_fingerprint_is_that_of_the_rows(self, data: Data) -> None:
        parts = [getattr(data, name) for name in SPLITS]
        assert data.report.fingerprint == splits.fingerprint(data.classes, parts)
        swapped = [parts[0], parts[2], parts[1]]
        assert data.report.fingerprint != splits.fingerprint(data.classes, swapped)

    def test_the_report_can_be_stored_as_json(self, data: Data) -> None:
        stored = json.loads(json.dumps(dataclasses.asdict(data.report)))
        assert stored["fingerprint"] == data.report.fingerprint

    def test_it_emits_events_and_prints_nothing(self, component: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
        events: list[Any] = []
        component.load(SEED, events.append)
        assert all(isinstance(event, Event) for event in events)
        assert capfd.readouterr() == ("", "")

    def test_offline_makes_no_connection(self, component: Dataset, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
        if not isinstance(component, OfflineCapable):
            pytest.skip("this component has no option `offline`")

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a connection was opened although offline is set")

        for verb in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, verb, refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        offline: Any = dataclasses.replace(component, offline=True)  # type: ignore[type-var]
        assert offline.load(SEED, _ignore) == data

    def given_splits(self, component: Dataset) -> bool:
        """Override to return True where the data comes split, so that a seed does not change all splits."""
        return False


def _ignore(event: Event) -> None:
    """An emit for tests that need no events."""
