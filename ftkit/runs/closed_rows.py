"""The test rows of a run while it trains: sealed, so that no training reads them by mistake or out of curiosity.

DATA/
  test.arrow.sealed   the rows, which only a key in FTKIT_HOME/keys opens
  test.arrow          the rows once the promotion tests have opened them; seal and key are then gone

Older runs have `test.sealed` and `test.jsonl`.

No file below the run's folder holds the rows in readable form, and while a trial trains its process cannot open the seal. That does not
stop code that means to cheat: it could take the key, or read the source of the data again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ftkit import files
from ftkit.errors import LedgerError

_TRAINING = "FTKIT_TRAINING"
"""Environment variable that is set while a trial trains, for its process and those that it starts."""

_PART = 2**22
"""Bytes that are sealed at a time."""


def place(data: Path, split: str) -> Path:
    """The file of a split's rows in a folder of data; for a sealed one, where it will be."""
    old = data / f"{split}.jsonl"
    return old if old.is_file() else data / f"{split}.arrow"


def seal(data: Path) -> None:
    """Put a seal in the place of the readable test rows in a folder of data. Raises: OSError."""
    _forget(data.with_name("data"))  # rows whose place these take
    rows = data / "test.arrow"
    name, secret = secrets.token_hex(8), secrets.token_bytes(32)
    key = files.home() / "keys" / name
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with rows.open("rb") as source, _sealed(data).open("wb") as sealed:
        sealed.write(name.encode() + b"\n")
        sealed.flush()  # before the key is there: `forget` finds it by this name
        key.touch(mode=0o600)
        key.write_bytes(secret)
        for number, part in enumerate(iter(lambda: source.read(_PART), b"")):
            packed = zlib.compress(part, 1)
            sealed.write(len(packed).to_bytes(4, "big") + _veiled(packed, secret + number.to_bytes(4, "big")))
    rows.unlink()


def forget(run: Path) -> None:
    """Remove the keys of rows that a process which was killed has not finished writing into a run's folder."""
    for unfinished in run.glob(".*.partial"):
        _forget(unfinished)


def _forget(data: Path) -> None:
    if (sealed := _sealed(data)).is_file():
        _key(sealed).unlink(missing_ok=True)


def can_open(data: Path) -> bool:
    """Whether the test rows are there to be read when their time comes."""
    sealed = _sealed(data)
    return place(data, "test").is_file() or (sealed.is_file() and _key(sealed).is_file())


def open_seal(data: Path) -> None:
    """Put readable test rows in the place of their seal; does nothing when there is none. Raises: LedgerError, OSError."""
    sealed = _sealed(data)
    if not sealed.is_file():
        return
    if os.environ.get(_TRAINING):
        raise LedgerError(
            "the test rows are closed while a trial trains",
            where=str(sealed),
            hint="Train on data.train and evaluate on data.valid: only the promotion tests see the test rows.",
        )
    key = _key(sealed)
    if place(data, "test").is_file():  # killed after they were written, which is done whole or not at all
        key.unlink(missing_ok=True)
        sealed.unlink()
        return
    if not key.is_file():
        raise LedgerError(
            "the test rows cannot be opened: the key of their seal is not on this machine",
            where=str(sealed),
            hint=f"Copy {key} from the machine where the run began, or give the command with --fresh.",
        )
    with sealed.open("rb") as source:
        source.readline()  # the name of the key
        if sealed.name == "test.sealed":
            packed = _veiled(source.read(), key.read_bytes())
            files.write_text(data / "test.jsonl", zlib.decompress(packed).decode("utf-8"))
        else:
            files.write_parts(data / "test.arrow", _opened(source, key.read_bytes()))
    key.unlink()  # first: the seal alone says which key is its own
    sealed.unlink()


@contextmanager
def closed() -> Iterator[None]:
    """While the block runs, ftkit opens no seal in this process and in those that it starts."""
    before = os.environ.get(_TRAINING)
    os.environ[_TRAINING] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_TRAINING, None)


def _sealed(data: Path) -> Path:
    old = data / "test.sealed"
    return old if old.is_file() else data / "test.arrow.sealed"


def _key(sealed: Path) -> Path:
    """Where the key of a seal lies: the first line names it."""
    with sealed.open("rb") as file:
        name = file.readline(64).decode("ascii", "replace").strip()
    return files.home() / "keys" / (name if name.isalnum() else "none")


def _opened(sealed: BinaryIO, secret: bytes) -> Iterator[bytes]:
    """The rows behind the first line of a sealed file, part by part. Raises: ValueError."""
    number = 0
    while length := sealed.read(4):
        packed = sealed.read(int.from_bytes(length, "big"))
        try:
            yield zlib.decompress(_veiled(packed, secret + number.to_bytes(4, "big")))
        except zlib.error as error:
            raise ValueError(f"the sealed test rows are damaged: {error}") from error
        number += 1


def _veiled(content: bytes, secret: bytes) -> bytes:
    """The content made unreadable by a secret, or readable again by the same one."""
    veil = hashlib.shake_256(secret).digest(len(content))
    return (int.from_bytes(content, "big") ^ int.from_bytes(veil, "big")).to_bytes(len(content), "big")
