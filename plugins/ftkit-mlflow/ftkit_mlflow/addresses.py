"""Addresses of trackers and registries: what may be printed of one, and which file it means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


def shown(uri: str) -> str:
    """An address as it may be printed: without a password."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address, or None for any other."""
    scheme, _, path = uri.partition(":///")
    if not scheme.startswith("sqlite") or path in ("", ":memory:"):
        return None
    return Path(path.partition("?")[0]).absolute()


def local(uri: str) -> bool:
    """Whether an address means something else on every machine: a file, or a server on the machine itself."""
    parts = urlsplit(uri)
    return (
        parts.scheme in ("", "file")
        or parts.scheme.startswith("sqlite")
        or parts.hostname in ("localhost", "127.0.0.1", "::1")
    )
