"""Bring one packed file here, whole or not at all, over a network that breaks.

The bytes that have come are kept in NAME.partial; a request for the rest goes on from there, as long as the server
says by ETag or date that the file is still the same. Several processes may ask for one file: one brings it.
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
from ftkit.data.rows import GZIP_ERRORS
from ftkit.errors import DataError
from ftkit.events import Noticed, Progressed

if TYPE_CHECKING:
    import httpx

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before another try; the pause doubles from the first to the longest."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others in a while."""


@dataclass(frozen=True)
class Download:
    """A file to bring, and how hard to try."""

    url: str
    target: Path
    retries: int
    """Tries in a row that may fail without bringing a byte before it is given up."""
    timeout: float
    """Seconds a connection may be silent."""
    missing: str
    """What to do when the server does not have the file."""
    sha256: str = ""

    @property
    def partial(self) -> Path:
        """Where the bytes are until all have come."""
        return self.target.with_name(f"{self.target.name}.partial")

    @property
    def note(self) -> Path:
        """Which file of which server the partial one is of."""
        return self.target.with_name(f"{self.target.name}.partial.json")

    def fetch(self, emit: Emit) -> None:
        """Bring the file unless it is there. Raises: DataError."""
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
                    self._bring(emit)
            finally:
                lock.release()
        except OSError as error:
            raise DataError(
                f"the download cannot be stored: {error.strerror or error}",
                where=str(self.target),
                hint="Make room or fix the permissions, or set FTKIT_CACHE to another folder; what has come is kept.",
            ) from error

    def _bring(self, emit: Emit) -> None:
        """Download, check, and put the file in its place; a resumed file that fails the check is brought anew once."""
        for again in (False, True):
            resumed = self._download(emit)
            try:
                check_hash(self.partial, self.sha256, self.url)
                check_packed(self.partial, self.url)
                break
            except DataError:
                self._discard()
                if again or not resumed:
                    raise
            emit(Noticed(f"The parts of {self.target.name} that came do not fit together; starting over."))
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.partial, self.target)
        self.note.unlink(missing_ok=True)

    def _download(self, emit: Emit) -> bool:
        """Ask until all bytes are here; returns whether they came in several parts.

        Raises: DataError when it is given up.
        """
        import httpx

        failures = 0
        with httpx.Client(timeout=self.timeout, follow_redirects=True) as client:
            while True:
                before = self._have()
                try:
                    return self._request(client, before, emit)
                except (httpx.RequestError, _Broken) as error:
                    failures = 1 if self._have() > before else failures + 1
                    said = str(error) or type(error).__name__
                    if failures > self.retries:
                        raise DataError(
                            f"the file cannot be downloaded: {said} ({failures} tries)",
                            where=self.url,
                            hint="Try again later: what has come is kept. Or give another server by base_url, or a file "
                            "that you have by path.",
                        ) from error
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) * random.uniform(0.5, 1)
                    pause = max(pause, min(LONGEST_PAUSE, getattr(error, "after", 0.0)))
                    emit(Noticed(f"Download of {self.target.name}: {said}; trying again in {pause:.1f} s."))
                    time.sleep(pause)

    def _request(self, client: httpx.Client, have: int, emit: Emit) -> bool:
        """Ask once for the file or the rest of it; returns whether it was the rest.

        Raises: _Broken and httpx.RequestError, which may pass; DataError.
        """
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if same := self._noted().get("same"):
                headers["If-Range"] = same
        with client.stream("GET", self.url, headers=headers) as response:
            status = response.status_code
            span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            if status == 416 and have:
                if span and span.group(2) == str(have):
                    return True
                self._discard()
                raise _Broken("the server's file is another by now")
            if status in PASSING:
                raise _Broken(f"the server answered {status}", _seconds(response.headers.get("Retry-After", "")))
            if status in (404, 410):
                raise DataError(f"the server has no such file (it answered {status})", self.url, self.missing)
            if status not in (200, 206):
                raise DataError(
                    f"the server refused: it answered {status} {response.reason_phrase}",
                    where=self.url,
                    hint="Give another server by base_url, or a file that you have by path.",
                )
            if status == 206 and not (span and span.group(1) == str(have)):
                self._discard()
                raise _Broken("the server answered with another part of the file than was asked for")
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
        """Append to the partial file what comes, telling how far it is about ten times a second."""
        label, told = f"downloading {self.target.name}", 0.0
        with self.partial.open("ab" if have else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                have += len(chunk)
                if (now := time.monotonic()) - told > 0.1:
                    emit(Progressed(label, have, total, "bytes"))
                    told = now
        if total is not None and have != total:
            raise _Broken(f"{have:,} of {total:,} bytes came")
        emit(Progressed(label, have, have, "bytes"))

    def _have(self) -> int:
        """Bytes that have come of this very address."""
        try:
            return self.partial.stat().st_size if self._noted().get("url") == self.url else 0
        except FileNotFoundError:
            return 0

    def _noted(self) -> dict[str, str]:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _discard(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _Broken(Exception):
    """A try that failed for a reason that may pass."""

    def __init__(self, said: str, after: float = 0.0) -> None:
        super().__init__(said)
        self.after = after


def check_hash(path: Path, sha256: str, where: str) -> None:
    """Raises: DataError when a file does not have the SHA-256 it should have; an empty one asks for none."""
    if sha256 and (found := files.sha256(path)) != sha256.lower():
        raise DataError(
            f"the SHA-256 of the file is {found}, not {sha256.lower()}",
            where=where,
            hint="Correct sha256 if you trust this file; if not, take another by base_url or path.",
        )


def check_packed(path: Path, where: str) -> None:
    """Raises: DataError when a packed file does not agree with its own checksums, or is not packed at all."""
    try:
        with gzip.open(path) as unpacked:
            while unpacked.read(2**20):
                pass
    except GZIP_ERRORS as error:
        with path.open("rb") as file:
            begin = file.read(200)
        page = "a web page, not the file" if b"<html" in begin.lower() else "no whole gzip file"
        raise DataError(
            f"what came is {page}: {error}",
            where=where,
            hint="Check that base_url is a mirror of the archive and that no proxy answers in its place.",
        ) from error


def _seconds(text: str) -> float:
    """What a Retry-After header says, where it says it in seconds."""
    with suppress(ValueError):
        return max(0.0, float(text))
    return 0.0
