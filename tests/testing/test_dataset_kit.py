"""The conformance kit of data sets finds what is wrong with one."""

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
    made = Rows("rows")
    for index in range(60):
        made.add(f"text {index}", ("a", "b")[index % 2], index=index)
    return made


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A data set as it should be."""

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


def refingered(data: Data) -> Data:
    mark = fingerprint(data.classes, [data.train, data.valid, data.test])
    return dataclasses.replace(data, report=dataclasses.replace(data.report, fingerprint=mark))


def leaking(data: Data) -> Data:
    first = f"{data.test.texts[0].upper()} "
    train = dataclasses.replace(data.train, texts=(first, *data.train.texts[1:]))
    return refingered(dataclasses.replace(data, train=train))


def without_a_class(data: Data) -> Data:
    return refingered(dataclasses.replace(data, valid=dataclasses.replace(data.valid, labels=(0,) * len(data.valid))))


def losing_a_row(data: Data) -> Data:
    train = Split(data.train.texts[1:], data.train.labels[1:], {"index": data.train.columns["index"][1:]})
    return refingered(dataclasses.replace(data, train=train))


def with_short_columns(data: Data) -> Data:
    return dataclasses.replace(data, train=dataclasses.replace(data.train, columns={"index": (1, 2)}))


def with_strange_labels(data: Data) -> Data:
    return dataclasses.replace(data, test=dataclasses.replace(data.test, labels=(7, *data.test.labels[1:])))


def with_empty_texts(data: Data) -> Data:
    return dataclasses.replace(data, test=dataclasses.replace(data.test, texts=(" ", *data.test.texts[1:])))


def with_another_fingerprint(data: Data) -> Data:
    return dataclasses.replace(data, report=dataclasses.replace(data.report, fingerprint="0" * 64))


def with_other_lengths(data: Data) -> Data:
    return dataclasses.replace(data, report=dataclasses.replace(data.report, lengths={"p50": 1}))


SUITE = DatasetSuite()


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (leaking, SUITE.test_no_text_is_there_twice_neither_in_one_split_nor_in_two),
        (without_a_class, SUITE.test_every_class_is_in_every_split),
        (losing_a_row, SUITE.test_the_report_accounts_for_every_row),
        (with_short_columns, SUITE.test_columns_are_as_long_as_the_texts_and_can_be_stored),
        (with_strange_labels, SUITE.test_texts_are_text_and_labels_point_into_the_classes),
        (with_empty_texts, SUITE.test_texts_are_text_and_labels_point_into_the_classes),
        (with_another_fingerprint, SUITE.test_the_fingerprint_is_that_of_the_rows),
        (with_other_lengths, SUITE.test_the_report_tells_the_lengths_in_words),
    ],
)
def test_spoilt_data_is_found_out(spoil: Callable[[Data], Data], check: Callable[[Data], None]) -> None:
    data = Sound().load(1, lambda event: None)
    check(data)
    with pytest.raises(AssertionError):
        check(spoil(data))


@dataclass(frozen=True, kw_only=True)
class Moody(Sound):
    """Splits differently every time."""

    name: ClassVar[str] = "moody"
    undocumented: int = 0

    def load(self, seed: int, emit: Emit) -> Data:
        import secrets

        return super().load(secrets.randbits(31), emit)


@dataclass(frozen=True, kw_only=True)
class Stubborn(Sound):
    """Splits the same way whatever the seed, prints, and connects when it should not."""

    name: ClassVar[str] = "stubborn"

    def load(self, seed: int, emit: Emit) -> Data:
        print("loading")
        with socket.socket() as connection:
            connection.connect_ex(("127.0.0.1", 9))
        return super().load(0, emit)


def test_a_seed_that_is_not_kept_is_found_out() -> None:
    moody = Moody()
    data = moody.load(1, lambda event: None)
    with pytest.raises(AssertionError):
        SUITE.test_the_same_seed_gives_the_same_data(moody, data)


def test_an_option_without_a_description_is_found_out() -> None:
    SUITE.test_every_option_is_documented(Sound())
    with pytest.raises(AssertionError, match="undocumented"):
        SUITE.test_every_option_is_documented(Moody())


def test_a_seed_that_changes_nothing_is_found_out() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_another_seed_gives_other_splits_of_the_same_rows(Stubborn(), Stubborn().load(1, lambda event: None))


def test_printing_is_found_out(capfd: Any) -> None:
    with pytest.raises(AssertionError):
        SUITE.test_it_tells_events_and_nothing_else(Stubborn(), capfd)


def test_a_connection_in_spite_of_offline_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Stubborn().load(1, lambda event: None)
    with pytest.raises(AssertionError, match="a connection was opened"):
        SUITE.test_offline_makes_no_connection(Stubborn(), data, monkeypatch)
