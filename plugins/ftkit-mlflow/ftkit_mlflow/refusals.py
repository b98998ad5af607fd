"""Failures of MLflow, its database or the network as errors that say how to repair them."""

from __future__ import annotations

import errno
from pathlib import Path
from urllib.parse import urlsplit

from ftkit.errors import RegistryError
from ftkit.redaction import redacted
from ftkit_mlflow.addresses import shown, sqlite_file


def refusal(error: Exception, uri: str) -> RegistryError:
    """The error to raise instead: what failed, where, and how to repair it."""
    text = redacted(str(error))  # before it is cut
    place = shown(uri)
    file = sqlite_file(uri)
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or any(
        each in text for each in ("No space left", "disk is full", "Disk quota exceeded")
    ):
        return RegistryError(
            "the disk is full; no version was registered",
            where=place,
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command: what is finished is kept.",
        )
    if "out-of-date database schema" in text or "Can't locate revision" in text:
        return _schema(text, uri)
    if any(each in text for each in ("not a database", "malformed", "file is encrypted")):
        return RegistryError(
            f"the database is damaged: {_line(text)}",
            where=place,
            hint=f"Restore {file or 'it'} from a backup, or move it away to begin with an empty registry.",
        )
    if "unable to open database file" in text or "readonly database" in text or isinstance(error, PermissionError):
        return RegistryError(
            "the database or its folder cannot be opened for writing",
            where=str(file or place),
            hint="Fix the permissions, or set FTKIT_HOME to a folder you can write to.",
        )
    if "database is locked" in text or (file and isinstance(error, TimeoutError)):
        return RegistryError(
            "another process keeps the database locked",
            where=str(file or place),
            hint="End that process, or give each run a tracking_uri of its own; a MLflow server takes many at once.",
        )
    unreachable = urlsplit(uri).scheme in ("http", "https") and any(
        each in text
        for each in ("Connection", "connection", "Max retries", "timed out", "Failed to resolve", "exceptions while")
    )
    if unreachable:
        return RegistryError(
            f"the MLflow server cannot be reached: {_cause(error)}",
            where=place,
            hint="Start it (`mlflow server`), or fix tracking_uri; without tracking_uri a SQLite file on this machine is used.",
        )
    return RegistryError(
        f"MLflow failed: {_line(text)}",
        where=place,
        hint="Repair it, then give the same command: what is finished is kept.",
    )


def _schema(text: str, uri: str) -> RegistryError:
    """The error for a database of another MLflow: an older one can be upgraded, a newer one cannot be read."""
    import mlflow

    migrations = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    words = text.replace("'", " ").replace(",", " ").split()
    revision = next((after for before, after in zip(words, words[1:], strict=False) if before in ("version", "by")), "")
    if revision and not any(migrations.glob(f"{revision}*")):
        return RegistryError(
            f"the database was made by a newer MLflow than {mlflow.__version__}",
            where=shown(uri),
            hint="pip install --upgrade mlflow",
        )
    return RegistryError(
        f"the database was made by an older MLflow than {mlflow.__version__}",
        where=shown(uri),
        hint=f"Make a copy of it, then: mlflow db upgrade {shown(uri)}",
    )


def _line(text: str) -> str:
    """The first line that is not empty, cut to a readable length."""
    line = next((each.strip() for each in text.splitlines() if each.strip()), "it gives no reason")
    return line if len(line) <= 300 else f"{line[:297]}…"


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection: `Connection refused`, `timed out`, …"""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for each in reversed(chain):
        if isinstance(each, OSError) and each.strerror:
            return str(each.strerror)
    return _line(redacted(str(chain[-1])))
