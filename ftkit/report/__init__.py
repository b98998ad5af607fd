"""A run as one page that needs nothing else: made of its journal alone, whether it was promoted, failed or broke off."""

from __future__ import annotations

from pathlib import Path

from ftkit import files
from ftkit.errors import LedgerError
from ftkit.ledger import Ledger

NAME = "report.html"


def write(ledger: Ledger, path: Path | None = None, state: str | None = None) -> Path:
    """Write a run's report and return where: in the run's folder unless `path` says otherwise.

    The same journal gives the same bytes. `state` is how the run stands, for who knows better than its folder.
    Raises: LedgerError when the disk does not take it.
    """
    from ftkit.report.facts import gather
    from ftkit.report.page import page

    path = ledger.folder / NAME if path is None else path
    text = page(gather(ledger, state))
    try:
        files.write_text(path, text)
    except OSError as error:
        raise LedgerError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(path),
            mend="Make room or mend the permissions, or name another file with `ftkit report RUN --out PATH`.",
        ) from error
    return path
