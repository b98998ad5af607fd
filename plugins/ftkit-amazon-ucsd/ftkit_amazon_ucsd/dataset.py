"""The reviews of one category as a data set: downloaded, parsed, and labelled by their stars."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from ftkit import files
from ftkit.contracts import Data, Emit
from ftkit.data import splits
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import Rows, check_limit, lines
from ftkit.data.unpacking import GZIP_ERRORS
from ftkit.errors import DataError
from ftkit.events import Noticed
from ftkit_amazon_ucsd import archive, parsing
from ftkit_amazon_ucsd.download import Download, check_hash

NO_CLASS = "stars without a class"


@dataclass(frozen=True, kw_only=True)
class AmazonUcsd:
    """Amazon product reviews of 1996 to 2014 by category, labelled by their stars.

    Source: He and McAuley 2016, "Ups and Downs: Modeling the Visual Evolution of Fashion Trends with One-Class
    Collaborative Filtering".
    """

    name: ClassVar[str] = "amazon-ucsd"
    category: str = "Automotive"
    """A category of the archive by its name, such as Automotive or Musical_Instruments."""
    five_core: bool = True
    """Use the smaller file, with users and products of at least five reviews each, instead of all reviews."""
    path: Path | None = None
    """A local file of this format, with or without gzip; then nothing is downloaded."""
    base_url: str = archive.BASE_URL
    """The folder URL of the archive's files, for example of a mirror."""
    sha256: str = ""
    """The SHA-256 that the gzip file must have, in hexadecimal; empty to check only its own checksum."""
    offline: bool = False
    """Use a file downloaded before, and never open a connection."""
    retries: int = 5
    """Attempts in a row that may fail before the download fails."""
    timeout: float = 30.0
    """Seconds without data after which a connection counts as broken."""
    stars: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: {"negative": (1, 2), "positive": (4, 5)})
    """The stars of each class, which are ordered from the fewest stars to the most; other reviews are left out."""
    task: Literal["single-label", "ordinal"] = "single-label"
    """Whether the classes are an order of stars (`ordinal`), so that a mistake by one class is less than one by two."""
    text: Literal["reviewText", "summary", "summary+reviewText"] = "reviewText"
    """The field to classify, or both fields, joined by a line break."""
    max_damaged: float = 0.01
    """Share of the lines that may be damaged before loading fails; 0 allows none."""
    rows: int | None = None
    """Keep a sample of about this many reviews, each class in proportion, for quick experiments."""
    shares: tuple[float, float, float] = splits.SHARES
    """Shares of the training, validation and test split."""
    near_copies: splits.NearCopies = "together"
    """Whether reviews that share most of their wording stay in one split, or are split by chance."""
    group: Literal["", "reviewerID", "asin"] = ""
    """Keep all reviews of a reviewer, or of a product (`asin`), in one split."""
    time: Literal["", "unixReviewTime"] = ""
    """Split by the day of the review: the newest reviews are the test rows, the next newest the validation rows."""

    def __post_init__(self) -> None:
        self._rules(0)
        check_limit(self.max_damaged)
        if self.retries < 0:
            raise ValueError("retries must not be negative")
        if not self.timeout > 0:
            raise ValueError("timeout must be above 0")
        if urlsplit(self.base_url).scheme not in ("http", "https") or not urlsplit(self.base_url).netloc:
            raise ValueError(f"base_url must begin with http:// or https://, not {self.base_url!r}")
        if self.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise ValueError("sha256 must be 64 hexadecimal digits")
        if self.path is None and not archive.listed(self.category):
            if self._base() == archive.BASE_URL:
                raise ValueError(f"category {self.category!r} is not in the archive. {archive.advice(self.category)}")
            if not re.fullmatch(r"[\w&-]+( [\w&-]+)*", self.category):
                raise ValueError(f"category {self.category!r} has characters that cannot be part of a file name")
        _check_stars(self.stars)

    def load(self, seed: int, emit: Emit) -> Data:
        """Download the file unless it is there, read it, and clean and split the reviews.

        Raises: DataError for a file that cannot be downloaded or read, too many damaged lines, and rows that cannot be
        split.
        """
        rules = self._rules(seed)
        if self.path is None:
            rows = self._read_archive(emit)
        else:
            if self.sha256 and self.path.is_file():
                check_hash(self.path, self.sha256, str(self.path))
            rows = self._read(self.path, emit)
        return splits.split(rows, self._classes(), rules, emit=emit)

    def _rules(self, seed: int) -> splits.Rules:
        return splits.Rules(
            seed=seed,
            shares=self.shares,
            rows=self.rows,
            near_copies=self.near_copies,
            task=self.task,
            group=self.group,
            time=self.time,
        )

    def _classes(self) -> tuple[str, ...]:
        return tuple(sorted(self.stars, key=lambda name: min(self.stars[name])))

    def _base(self) -> str:
        return self.base_url.rstrip("/")

    def _read_archive(self, emit: Emit) -> Rows:
        """The reviews of the archive's file, from the cache if it has an undamaged copy. Raises: DataError."""
        name = archive.file_name(self.category, self.five_core)
        cached = files.cache() / "amazon-ucsd" / name
        url = f"{self._base()}/{name}"
        download = Download(url, cached, self.retries, self.timeout, self._hint_if_missing(), self.sha256)
        if self.sha256 and not self.offline and cached.is_file() and files.sha256(cached) != self.sha256.lower():
            self._discard(cached, f"its SHA-256 is not {self.sha256}", emit)
        if not cached.is_file():
            if self.offline:
                raise DataError(
                    "the file was not downloaded before, and offline is set",
                    where=str(cached),
                    hint="Run once without offline, put the file at this place, or set path to a local file.",
                )
            download.fetch(emit)
        elif self.sha256 and self.offline:
            check_hash(cached, self.sha256, str(cached))
        try:
            rows = self._read(cached, emit)
        except DataError as error:
            if self.offline or not isinstance(error.__cause__, GZIP_ERRORS):
                raise
            self._discard(cached, error.what, emit)
            download.fetch(emit)
            rows = self._read(cached, emit)
        rows.source = url
        return rows

    def _discard(self, cached: Path, fault: str, emit: Emit) -> None:
        emit(Noticed(f"Downloading again, because the copy in the cache is damaged: {cached}: {fault}.", warning=True))
        cached.unlink(missing_ok=True)

    def _hint_if_missing(self) -> str:
        if archive.listed(self.category):
            return "Check base_url: it must be a mirror with the archive's file names."
        return archive.advice(self.category)

    def _read(self, path: Path, emit: Emit) -> Rows:
        """The reviews of a file as rows. Raises: DataError."""
        rows, fields = Rows(str(path)), self.text.split("+")
        first = {"reviewerID": "", "asin": "", "unixReviewTime": "2014-07-23"}
        apart = [name for name in (self.group, self.time) if name]
        rows.others = OtherColumns.choose([first], (), self.group, self.time, only=apart)
        classes = {number: name for name, numbers in self.stars.items() for number in numbers}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser of Python literals warns about unknown escapes in reviews
            for number, line in lines(path, emit):
                try:
                    review = parsing.parse(line)
                    stars = parsing.stars(review)
                    parts = [parsing.text(review, name) for name in fields]
                except ValueError as error:
                    rows.damage(number, str(error))
                    continue
                if (label := classes.get(stars)) is None:
                    rows.drop(NO_CLASS)
                else:
                    text = "\n".join(part for part in parts if part.strip())
                    day = parsing.day(review)
                    rows.add(text, label, stars=stars, year=day.year if day else None)
                    if apart:
                        rows.others.add([day if name == self.time else review.get(name) for name in apart])
        rows.check_damage(self.max_damaged)
        return rows


def _check_stars(stars: Mapping[str, tuple[int, ...]]) -> None:
    """Check the option `stars`. Raises: ValueError."""
    listed = [number for numbers in stars.values() for number in numbers]
    if len(stars) < 2 or not all(stars.values()):
        raise ValueError("stars must have at least two classes, each with at least one number of stars")
    if outside := [number for number in listed if number not in (1, 2, 3, 4, 5)]:
        raise ValueError(f"stars are from 1 to 5, not {outside[0]}")
    if twice := [number for number in listed if listed.count(number) > 1]:
        raise ValueError(f"stars has {twice[0]} in two classes")
