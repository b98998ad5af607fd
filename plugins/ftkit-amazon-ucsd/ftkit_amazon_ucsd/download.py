"""Download one gzip file over an unreliable network; the file appears complete or not at all.

Received bytes are kept in NAME.partial. A later request asks for the rest, as long as ETag or date say that the file on
the server is still the same. When several processes want one file, one of them downloads it.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files
from ftkit.contracts import Emit
from ftkit.data.unpacking import GZIP_ERRORS
from ftkit.errors import DataError
from ftkit.events import Noticed, Progressed

if TYPE_CHECKING:
    import httpx

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before the next attempt; the pause doubles from the first to the longest."""

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which another attempt may succeed."""


@dataclass(frozen=True)
class Download:
    """A file to download, and how often to try."""

    url: str
    target: Path
    retries: int
    """Attempts in a row that may fail without receiving a byte before the download fails."""
    timeout: float
    """Seconds without data after which a connection counts as broken."""
    missing: str
    """The hint for a server that does not have the file."""
    sha256: str = ""

    @property
    def partial(self) -> Path:
        """The received bytes, until the file is complete."""
        return self.target.with_name(f"{self.target.name}.partial")

    @property
    def note(self) -> Path:
        """The address and version of the file that the partial file belongs to."""
        return self.target.with_name(f"{self.target.name}.partial.json")

    def fetch(self, emit: Emit) -> None:
        """Download the file unless it is there. Raises: DataError."""
        import filelock

        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.target.with_name(f"{self.target.name}.lock"))
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                emit(Noticed(f"Waiting for another process to download {self.target.name}."))
                lock.acquire()
            try:
                if not self.target.is_file():
                    self._download(emit)
            finally:
                lock.release()
        except OSError as error:
            raise DataError(
                f"the download cannot be stored: {error.strerror or error}",
                where=str(self.target),
                hint="Free disk space, fix permissions, or set FTKIT_CACHE to another folder; received bytes are kept.",
            ) from error

    def _download(self, emit: Emit) -> None:
        """Download, check and move the file to its place; a resumed file that fails the check is loaded again once."""
        for again in (False, True):
            resumed = self._receive(emit)
            try:
                check_hash(self.partial, self.sha256, self.url)
                check_gzip(self.partial, self.url)
                break
            except DataError:
                self._discard()
                if again or not resumed:
                    raise
            emit(Noticed(f"The received parts of {self.target.name} do not belong to one file; downloading it again."))
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.partial, self.target)
        self.note.unlink(missing_ok=True)

    def _receive(self, emit: Emit) -> bool:
        """Send requests until all bytes are here; returns whether they came in several parts.

        Raises: DataError when too many attempts in a row fail.
        """
        import httpx

        failures = 0
        with httpx.Client(timeout=self.timeout, follow_redirects=True) as client:
            while True:
                before = self._received()
                try:
                    return self._request(client, before, emit)
                except (httpx.RequestError, _Broken) as error:
                    failures = 1 if self._received() > before else failures + 1
                    reason = str(error) or type(error).__name__
                    if failures > self.retries:
                        raise DataError(
                            f"the file cannot be downloaded: {reason} (failed attempts: {failures})",
                            where=self.url,
                            hint="Try again later: received bytes are kept. Or set base_url to another server, or path "
                            "to a local file.",
                        ) from error
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) * random.uniform(0.5, 1)
                    pause = max(pause, min(LONGEST_PAUSE, error.after if isinstance(error, _Broken) else 0.0))
                    emit(Noticed(f"Download of {self.target.name}: {reason}; trying again in {pause:.1f} s."))
                    time.sleep(pause)

    def _request(self, client: httpx.Client, have: int, emit: Emit) -> bool:
        """Request the file or the rest of it once; returns whether it was the rest.

        Raises: _Broken or httpx.RequestError for a temporary fault; DataError.
        """
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if same := self._noted_version().get("same"):
                headers["If-Range"] = same
        with client.stream("GET", self.url, headers=headers) as response:
            status = response.status_code
            span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            if status == 416 and have:
                if span and span.group(2) == str(have):
                    return True
                self._discard()
                raise _Broken("the file on the server has changed")
            if status in TEMPORARY:
                raise _Broken(f"the server answered {status}", _seconds(response.headers.get("Retry-After", "")))
            if status in (404, 410):
                raise DataError(f"the server has no such file (it answered {status})", self.url, self.missing)
            if status not in (200, 206):
                raise DataError(
                    f"the server refused the request: it answered {status} {response.reason_phrase}",
                    where=self.url,
                    hint="Set base_url to another server, or path to a local file.",
                )
            if status == 206 and not (span and span.group(1) == str(have)):
                self._discard()
                raise _Broken("the server sent another part of the file than the one requested")
            if status == 200:
                have = 0
                self._discard()
                strong = response.headers.get("ETag", "")
                same = response.headers.get("Last-Modified", "") if strong.startswith("W/") or not strong else strong
                files.write_json(self.note, {"url": self.url, "same": same})
            length = response.headers.get("Content-Length", "")
            self._store(response, have, have + int(length) if length.isdecimal() else None, emit)
            return status == 206

    def _store(self, response: httpx.Response, have: int, total: int | None, emit: Emit) -> None:
        """Append received bytes to the partial file, with a progress event about ten times a second."""
        label, reported_at = f"downloading {self.target.name}", 0.0
        with self.partial.open("ab" if have else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                have += len(chunk)
                if (now := time.monotonic()) - reported_at > 0.1:
                    emit(Progressed(label, have, total, "bytes"))
                    reported_at = now
        if total is not None and have != total:
            raise _Broken(f"only {have:,} of {total:,} bytes were received")
        emit(Progressed(label, have, have, "bytes"))

    def _received(self) -> int:
        """Number of bytes received from this address."""
        try:
            return self.partial.stat().st_size if self._noted_version().get("url") == self.url else 0
        except FileNotFoundError:
            return 0

    def _noted_version(self) -> dict[str, str]:
        try:
            version = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return version if isinstance(version, dict) else {}

    def _discard(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _Broken(Exception):
    """An attempt that failed for a temporary reason."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after
        """Seconds that the server asks to wait."""


def check_hash(path: Path, sha256: str, where: str) -> None:
    """Raises: DataError when a file does not have the expected SHA-256; an empty one is not checked."""
    if sha256 and (actual := files.sha256(path)) != sha256.lower():
        raise DataError(
            f"the SHA-256 of the file is {actual}, not {sha256.lower()}",
            where=where,
            hint="If you trust this file, correct sha256; otherwise choose another one with base_url or path.",
        )


def check_gzip(path: Path, where: str) -> None:
    """Raises: DataError when a gzip file does not agree with its own checksum, or is not a gzip file."""
    try:
        with gzip.open(path) as unpacked:
            while unpacked.read(2**20):
                pass
    except GZIP_ERRORS as error:
        with path.open("rb") as file:
            begin = file.read(200)
        content = "a web page" if b"<html" in begin.lower() else "not a complete gzip file"
        raise DataError(
            f"the downloaded file is {content}: {error}",
            where=where,
            hint="Check that base_url is a mirror of the archive, and that no proxy answers instead of it.",
        ) from error


def _seconds(text: str) -> float:
    """The seconds of a Retry-After header; 0 where it has a date."""
    with suppress(ValueError):
        return max(0.0, float(text))
    return 0.0
