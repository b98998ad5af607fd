"""Texts in memory and on the disk are the same list."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest

from ftkit import files
from ftkit.data import texts
from ftkit.data.texts import Texts, chosen
from ftkit.errors import DataError
from ftkit.testing.backbones import ODD_TEXTS

ALL = tuple(f"{text[:500]} {number}" for number in range(30) for text in (*ODD_TEXTS, "half \ud83d", ""))


@pytest.fixture(params=[10**9, 1, 700], ids=["in memory", "each written", "many written"])
def stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Texts:
    monkeypatch.setattr(texts, "IN_MEMORY", request.param)
    monkeypatch.setattr(texts, "PART", 300)
    return Texts(ALL)


def test_they_are_a_list_of_the_texts(stored: Texts) -> None:
    assert [*stored] == [*ALL]
    assert stored == ALL
    assert stored[-1] == ALL[-1]
    assert stored[3:90:7] == ALL[3:90:7]
    assert pickle.loads(pickle.dumps(stored)) == ALL
    stored.append("one more")
    assert len(stored) == len(ALL) + 1
    assert stored[len(ALL)] == "one more"


@pytest.mark.parametrize("step", [1, 2, 40, None])
def test_chosen_rows_come_in_their_order(stored: Texts, step: int | None) -> None:
    rows = [*range(0, len(ALL), step)] if step else random.Random(1).choices(range(len(ALL)), k=200)
    some = chosen(stored, rows)
    assert some == tuple(ALL[row] for row in rows)
    assert some[5:9] == tuple(ALL[row] for row in rows[5:9])


def test_the_file_has_no_name(stored: Texts) -> None:
    assert not [path for path in files.home().rglob("*") if path.is_file()]


def test_a_disk_without_room_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(texts, "IN_MEMORY", 1)
    with pytest.raises(DataError, match="the texts cannot be written to the disk") as caught:
        Texts(["text"])
    assert "larger disk" in (caught.value.hint or "")
