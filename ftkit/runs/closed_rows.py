"""The test rows of a run while it trains: sealed, so that no training reads them by mistake or out of curiosity.

DATA/
  test.sealed   the rows, which only a key in FTKIT_HOME/keys opens
  test.jsonl    the rows once the promotion tests have opened them; seal and key are then gone

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

from ftkit import files
from ftkit.errors import LedgerError

_TRAINING = "FTKIT_TRAINING"
"""Environment variable that is set while a trial trains, for its process and those that it starts."""


def seal(data: Path) -> None:
    """Put a seal in the place of the readable test rows in a folder of data. Raises: OSError."""
    rows, sealed = _places(data)
    name, secret = secrets.token_hex(8), secrets.token_bytes(32)
    key = files.home() / "keys" / name
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(secret)
    sealed.write_bytes(name.encode() + b"\n" + _veiled(zlib.compress(rows.read_bytes(), 1), secret))
    rows.unlink()


def can_open(data: Path) -> bool:
    """Whether the test rows are there to be read when their time comes."""
    rows, sealed = _places(data)
    return rows.is_file() or (sealed.is_file() and _key(sealed).is_file())


def open_seal(data: Path) -> None:
    """Put readable test rows in the place of their seal; does nothing when there is none. Raises: LedgerError, OSError."""
    rows, sealed = _places(data)
    if not sealed.is_file():
        return
    if os.environ.get(_TRAINING):
        raise LedgerError(
            "the test rows are closed while a trial trains",
            where=str(sealed),
            hint="Train on data.train and evaluate on data.valid: only the promotion tests see the test rows.",
        )
    key = _key(sealed)
    if not key.is_file():
        raise LedgerError(
            "the test rows cannot be opened: the key of their seal is not on this machine",
            where=str(sealed),
            hint=f"Copy {key} from the machine where the run began, or give the command with --fresh.",
        )
    packed = _veiled(sealed.read_bytes().partition(b"\n")[2], key.read_bytes())
    files.write_text(rows, zlib.decompress(packed).decode("utf-8"))
    sealed.unlink()
    key.unlink()


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


def _places(data: Path) -> tuple[Path, Path]:
    return data / "test.jsonl", data / "test.sealed"


def _key(sealed: Path) -> Path:
    """Where the key of a seal lies: the first line names it."""
    with sealed.open("rb") as file:
        name = file.readline(64).decode("ascii", "replace").strip()
    return files.home() / "keys" / (name if name.isalnum() else "none")


def _veiled(content: bytes, secret: bytes) -> bytes:
    """The content made unreadable by a secret, or readable again by the same one."""
    veil = hashlib.shake_256(secret).digest(len(content))
    return (int.from_bytes(content, "big") ^ int.from_bytes(veil, "big")).to_bytes(len(content), "big")
