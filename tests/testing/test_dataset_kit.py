"""The conformance kit of data sets detects every fault."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from ftkit.contracts import Data, Emit, Split
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, fingerprint, split
from ftkit.testing.datasets import DatasetSuite


def rows() -> Rows:
    table = Rows("rows")
    for index in range(60):
        table.add(f"text {index}", ("a", "b")[index % 2], index=index)
    return table


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A correct data set."""

    name: ClassVar[str] = "sound"
    count: int = 1
    """Stands for any option."""
    offline: bool = False
    """Never open a connection."""

    def load(self, seed: int, emit: Emit) -> Data:
        """Make rows and split them."""
        return split(rows(), ("a", "b"), Rules(seed=seed))


class TestSound(DatasetSuite):
    @pytest.fixture
    def component(self) -> Sound:
        return Sound()


def with_right_fingerprint(data: Data) -> Data:
    right = fingerprint(data.classes, [data.train, data.valid, data.test])
    return dataclasses.replace(data, report=dataclasses.replace(data.report, fingerprint=right))


def leaking(data: Data) -> Data:
    first = f"{data.test.texts[0].upper()} "
    train = dataclasses.replace(data.train, texts=(first, *data.train.texts[1:]))
    return with_right_fingerprint(dataclasses.replace(data, train=train))


def losing_a_row(data: Data) -> Data:
    train = Split(data.train.texts[1:], data.train.labels[1:], {"index": data.train.columns["index"][1:]})
    return with_right_fingerprint(dataclasses.replace(data, train=train))


def with_short_columns(data: Data) -> Data:
    return dataclasses.replace(data, train=dataclasses.replace(data.train, columns={"index": (1, 2)}))


def with_labels_of_no_class(data: Data) -> Data:
    return dataclasses.replace(data, test=dataclasses.replace(data.test, labels=(7, *data.test.labels[1:])))


def with_a_class_in_two_lines(data: Data) -> Data:
    return dataclasses.replace(data, classes=("a", "b\nand more"))


def with_a_class_written_in_two_ways(data: Data) -> Data:
    return dataclasses.replace(data, classes=("1", "1.0"))


def with_empty_texts(data: Data) -> Data:
    return dataclasses.replace(data, test=dataclasses.replace(data.test, texts=(" ", *data.test.texts[1:])))


def with_another_fingerprint(data: Data) -> Data:
    return dataclasses.replace(data, report=dataclasses.replace(data.report, fingerprint="0" * 64))


def with_other_lengths(data: Data) -> Data:
    return dataclasses.replace(data, report=dataclasses.replace(data.report, lengths={"p50": 1}))


SUITE = DatasetSuite()


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (leaking, SUITE.test_no_text_occurs_twice_in_one_split_or_in_two),
        (losing_a_row, SUITE.test_the_report_accounts_for_every_row),
        (with_short_columns, SUITE.test_columns_are_as_long_as_the_texts_and_can_be_stored),
        (with_a_class_in_two_lines, SUITE.test_texts_are_strings_and_labels_are_indices_of_classes),
        (with_a_class_written_in_two_ways, SUITE.test_texts_are_strings_and_labels_are_indices_of_classes),
        (with_labels_of_no_class, SUITE.test_texts_are_strings_and_labels_are_indices_of_classes),
        (with_empty_texts, SUITE.test_texts_are_strings_and_labels_are_indices_of_classes),
        (with_another_fingerprint, SUITE.test_the_fingerprint_is_that_of_the_rows),
        (with_other_lengths, SUITE.test_the_report_has_the_lengths_in_words),
    ],
)
def test_faulty_data_is_detected(damage: Callable[[Data], Data], check: Callable[[Data], None]) -> None:
    data = Sound().load(1, lambda event: None)
    check(data)
    with pytest.raises(AssertionError):
        check(damage(data))


class ReadySplits(DatasetSuite):
    """The suite for data that comes split."""

    def given_splits(self, component: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("split_name", "labels", "one_file", "ready"),
    [
        ("valid", lambda labels: (0,) * len(labels), False, False),
        ("test", lambda labels: (0,) * len(labels), False, False),
        ("train", lambda labels: (0,) * len(labels), False, False),
        ("train", lambda labels: labels, True, True),
    ],
)
def test_a_class_without_training_rows_and_a_split_of_one_class_are_detected(
    split_name: str, labels: Callable[[Any], Any], one_file: bool, ready: bool
) -> None:
    data = Sound().load(1, lambda event: None)
    part = getattr(data, split_name)
    damaged = dataclasses.replace(data, **{split_name: dataclasses.replace(part, labels=labels(part.labels))})
    for suite, holds in ((SUITE, one_file), (ReadySplits(), ready)):
        if holds:
            suite.test_every_class_is_in_every_split(Sound(), damaged)
        else:
            with pytest.raises(AssertionError):
                suite.test_every_class_is_in_every_split(Sound(), damaged)


def test_a_ready_split_may_lack_a_class_that_is_trained() -> None:
    data = Sound().load(1, lambda event: None)
    wider = dataclasses.replace(
        data, classes=("a", "b", "c"), train=dataclasses.replace(data.train, labels=(2, *data.train.labels[1:]))
    )
    ReadySplits().test_every_class_is_in_every_split(Sound(), wider)
    with pytest.raises(AssertionError):
        SUITE.test_every_class_is_in_every_split(Sound(), wider)


@dataclass(frozen=True, kw_only=True)
class Moody(Sound):
    """Splits differently in every call."""

    name: ClassVar[str] = "moody"
    undocumented: int = 0

    def load(self, seed: int, emit: Emit) -> Data:
        import secrets

        return super().load(secrets.randbits(31), emit)


@dataclass(frozen=True, kw_only=True)
class Stubborn(Sound):
    """Ignores the seed, prints, and opens a connection in spite of `offline`."""

    name: ClassVar[str] = "stubborn"

    def load(self, seed: int, emit: Emit) -> Data:
        print("loading")
        with socket.socket() as connection:
            connection.connect_ex(("127.0.0.1", 9))
        return super().load(0, emit)


def test_splits_that_change_in_spite_of_the_same_seed_are_detected() -> None:
    moody = Moody()
    data = moody.load(1, lambda event: None)
    with pytest.raises(AssertionError):
        SUITE.test_the_same_seed_gives_the_same_data(moody, data)


def test_an_option_without_a_description_is_detected() -> None:
    SUITE.test_every_option_is_documented(Sound())
    with pytest.raises(AssertionError, match="undocumented"):
        SUITE.test_every_option_is_documented(Moody())


def test_a_seed_without_effect_is_detected() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_another_seed_gives_other_splits_of_the_same_rows(Stubborn(), Stubborn().load(1, lambda event: None))


def test_printing_is_detected(capfd: Any) -> None:
    with pytest.raises(AssertionError):
        SUITE.test_it_emits_events_and_prints_nothing(Stubborn(), capfd)


def test_a_connection_in_spite_of_offline_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Stubborn().load(1, lambda event: None)
    with pytest.raises(AssertionError, match="a connection was opened"):
        SUITE.test_offline_makes_no_connection(Stubborn(), data, monkeypatch)
