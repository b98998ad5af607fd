"""The test rows of a run are sealed until they are tested, and a training cannot open them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ftkit import files
from ftkit.errors import LedgerError
from ftkit.runs import closed_rows
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger
from ftkit.testing.toys import ToyReviews

DATA = ToyReviews(rows=60).load(3, lambda event: None)


@pytest.fixture
def run(tmp_path: Path) -> Ledger:
    ledger = ledgers.at(tmp_path / "run", "toy", 'name = "toy"\n')
    ledger.store_data(DATA)
    return ledger


def test_no_file_holds_a_test_row_before_it_is_read(run: Ledger) -> None:
    for folder in (run.folder, files.home()):
        for path in folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert not [text for text in DATA.test.texts if text.encode() in content], path


def test_reading_them_opens_the_seal_for_good_and_removes_its_key(run: Ledger) -> None:
    assert run.data(("train", "valid")).test.texts == ()
    assert list((files.home() / "keys").iterdir())
    assert run.data().test == DATA.test
    assert not list((files.home() / "keys").iterdir())
    assert run.holds_data
    assert Ledger(run.folder).data(("test",)).test == DATA.test


def test_a_training_reads_train_and_valid_and_nothing_else(run: Ledger) -> None:
    with closed_rows.closed():
        assert run.data(("train", "valid")).train == DATA.train
        with pytest.raises(LedgerError, match="the test rows are closed while a trial trains"):
            run.data()
        script = "import sys; from pathlib import Path; from ftkit.runs.ledger import Ledger; Ledger(Path(sys.argv[1])).data()"
        child = subprocess.run(
            [sys.executable, "-c", script, str(run.folder)],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            check=False,
        )
        assert "the test rows are closed" in child.stderr
    assert run.data().test == DATA.test


def test_a_run_without_its_key_says_so_and_can_load_the_same_rows_again(run: Ledger) -> None:
    for key in (files.home() / "keys").iterdir():
        key.unlink()
    with pytest.raises(LedgerError, match="the key of their seal is not on this machine"):
        run.data()
    assert not run.holds_data
    with pytest.raises(LedgerError, match="not those that the run began with"):
        run.store_data(ToyReviews(rows=70).load(3, lambda event: None))
    run.store_data(DATA)
    assert run.data().test == DATA.test


def test_rows_of_many_parts_are_sealed_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_rows, "_PART", 1000)
    ledger = ledgers.at(tmp_path / "run", "toy", 'name = "toy"\n')
    ledger.store_data(DATA)
    assert ledger.data().test == DATA.test


def test_a_damaged_seal_is_explained(run: Ledger) -> None:
    sealed = run.folder / "data" / "test.arrow.sealed"
    sealed.write_bytes(sealed.read_bytes()[:-9])
    with pytest.raises(LedgerError, match="the sealed test rows are damaged"):
        run.data()


def test_the_seal_of_an_older_run_is_opened(run: Ledger) -> None:
    data = run.folder / "data"
    (data / "test.arrow.sealed").unlink()
    (data / "digests.json").unlink()
    rows = "".join(
        json.dumps({"text": text, "label": label, "columns": {}}) + "\n"
        for text, label in zip(DATA.test.texts, DATA.test.labels, strict=True)
    )
    (files.home() / "keys" / "older").write_bytes(b"secret")
    packed = zlib.compress(rows.encode())
    veil = hashlib.shake_256(b"secret").digest(len(packed))
    (data / "test.sealed").write_bytes(b"older\n" + bytes(one ^ two for one, two in zip(packed, veil, strict=True)))
    assert run.holds_data
    assert run.data().test.texts == DATA.test.texts
    assert not (data / "test.sealed").exists()
