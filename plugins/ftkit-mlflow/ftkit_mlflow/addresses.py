"""Addresses of MLflow servers and databases: how one is shown, and which file it names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ftkit.redaction import redacted


def shown(uri: str) -> str:
    """An address to print: user and host are readable, the password is not."""
    return redacted(uri)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for any other address."""
    scheme, _, path = uri.partition(":///")
    if not scheme.startswith("sqlite") or path in ("", ":memory:"):
        return None
    return Path(path.partition("?")[0]).absolute()


def local(uri: str) -> bool:
    """Whether an address is valid on this machine only: a file, or a server on this machine."""
    parts = urlsplit(uri)
    return (
        parts.scheme in ("", "file")
        or parts.scheme.startswith("sqlite")
        or parts.hostname in ("localhost", "127.0.0.1", "::1")
    )
