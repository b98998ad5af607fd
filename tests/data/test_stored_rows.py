"""Rows in an Arrow file: equal to what was written, read value by value, from a file that may be damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ftkit.contracts import Split
from ftkit.data import stored_rows
from ftkit.errors import DataError
from ftkit.testing.backbones import ODD_TEXTS

TEXTS = (*ODD_TEXTS, "half a pair \ud83d", "", "last")
SPLIT = Split(
    TEXTS,
    tuple(range(len(TEXTS))),
    {"text": tuple(map(str, range(len(TEXTS)))), "mixed": (None, 1.5, True, *["x"] * (len(TEXTS) - 3))},
)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    monkeypatch.setattr(stored_rows, "BATCH_ROWS", 3)
    stored_rows.write(tmp_path / "rows.arrow", SPLIT)
    return stored_rows.read(tmp_path / "rows.arrow")


def test_a_stored_split_equals_the_one_that_was_written(stored: Split) -> None:
    assert stored == SPLIT
    assert SPLIT == stored  # noqa: SIM300  # a tuple on the left
    assert stored.texts != SPLIT.texts[:-1]
    assert stored.texts != ("other", *SPLIT.texts[1:])
    assert pickle.loads(pickle.dumps(stored)) == SPLIT


@pytest.mark.parametrize("place", [0, 3, -1, slice(2, 8), slice(None, None, 4), slice(-2, None), slice(5, 2)])
def test_a_place_or_slice_gives_what_a_tuple_gives(stored: Split, place: int | slice) -> None:
    assert stored.texts[place] == SPLIT.texts[place]


def test_a_row_behind_the_last_is_an_index_error(stored: Split) -> None:
    with pytest.raises(IndexError):
        stored.texts[len(TEXTS)]


def test_a_split_without_rows_can_be_stored(tmp_path: Path) -> None:
    stored_rows.write(tmp_path / "none.arrow", Split((), (), {"more": ()}))
    assert stored_rows.read(tmp_path / "none.arrow") == Split((), (), {"more": ()})


def test_several_labels_of_a_row_are_stored_as_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_rows, "BATCH_ROWS", 2)
    split = Split(("a", "b", "c", "d", "e"), ((0, 2), (), (), (), (1,)))
    stored_rows.write(tmp_path / "rows.arrow", split)
    assert stored_rows.read(tmp_path / "rows.arrow") == split


def test_a_damaged_text_names_file_and_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    stored_rows.write(path, Split(("first", "second"), (0, 1)))
    path.write_bytes(path.read_bytes().replace(b"second", b"sec\xff\xfed"))
    split = stored_rows.read(path)
    assert split.texts[0] == "first"
    with pytest.raises(DataError, match="row 2 cannot be read") as caught:
        list(split.texts)
    assert caught.value.where == str(path)
