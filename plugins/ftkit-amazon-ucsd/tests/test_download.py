"""Downloads over an unreliable network: resumed, repeated, checked, and never left half done."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ftkit_amazon_ucsd import AmazonUcsd
from ftkit_amazon_ucsd.download import Download

from ftkit.errors import DataError
from ftkit.events import Noticed, Progressed

FILE = "reviews_Automotive_5.json.gz"


class Log(list[Any]):
    """Keeps every event."""

    def __call__(self, event: Any) -> None:
        self.append(event)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self if isinstance(event, Noticed)]


def load(archive: Any, emit: Callable[[Any], None] | None = None, **options: Any) -> Any:
    return AmazonUcsd(**{"base_url": archive.url, "retries": 2, "timeout": 5.0} | options).load(
        7, Log() if emit is None else emit
    )


def refused(archive: Any, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load(archive, **options)
    assert caught.value.where
    assert caught.value.hint
    return caught.value


def test_a_download_reports_progress_is_kept_and_not_repeated(archive: Any, cache: Path) -> None:
    log = Log()
    first = load(archive, log)
    assert (cache / FILE).read_bytes() == archive.content
    assert sorted(path.name for path in cache.iterdir()) == [FILE, f"{FILE}.lock"]
    progress = [event for event in log if isinstance(event, Progressed) and event.label.startswith("downloading")]
    assert progress[-1].done == progress[-1].total == len(archive.content)
    assert progress[-1].unit == "bytes"
    assert load(archive) == first
    assert len(archive.requests) == 1
    assert first.report.source == f"{archive.url}/{FILE}"


def test_a_broken_connection_is_resumed_where_it_broke(archive: Any, cache: Path) -> None:
    archive.script = ["cut:5000", "cut:7000"]
    load(archive)
    assert archive.ranges == ["", "bytes=5000-", "bytes=12000-"]
    assert [headers.get("If-Range") for _, headers in archive.requests] == [None, '"one"', '"one"']
    assert (cache / FILE).read_bytes() == archive.content


def test_attempts_that_receive_bytes_do_not_use_up_the_retries(archive: Any) -> None:
    archive.script = ["cut:1000"] * 8
    load(archive, retries=1)
    assert len(archive.requests) == 9


def test_a_server_that_ignores_ranges_sends_the_whole_file_again(archive: Any, cache: Path) -> None:
    archive.script = ["cut:5000", "whole"]
    load(archive)
    assert (cache / FILE).read_bytes() == archive.content


def test_a_file_that_changed_meanwhile_is_downloaded_from_the_start(archive: Any, cache: Path) -> None:
    archive.script = ["cut:5000"]
    with pytest.raises(DataError):
        load(archive, retries=0)
    archive.headers = {"ETag": '"two"'}
    archive.content = gzip.compress(gzip.decompress(archive.content), 1)
    load(archive)
    assert archive.ranges[-1] == "bytes=5000-"
    assert (cache / FILE).read_bytes() == archive.content


def test_a_mixture_of_two_files_is_detected_and_downloaded_again(archive: Any, cache: Path) -> None:
    archive.headers = {}
    archive.script = ["cut:5000"]
    with pytest.raises(DataError):
        load(archive, retries=0)
    archive.content = gzip.compress(gzip.decompress(archive.content), 1)
    log = Log()
    load(archive, log)
    assert archive.ranges == ["", "bytes=5000-", ""]
    assert "If-Range" not in archive.requests[1][1]
    assert any("do not belong to one file" in text for text in log.notices)
    assert (cache / FILE).read_bytes() == archive.content


def test_a_file_that_changes_between_two_attempts_is_detected(archive: Any, cache: Path) -> None:
    archive.headers = {}
    archive.script = ["cut:5000"]
    changed = gzip.compress(gzip.decompress(archive.content), 1)

    def emit(event: Any) -> None:
        if isinstance(event, Noticed):
            archive.content = changed

    load(archive, emit)
    assert archive.ranges == ["", "bytes=5000-", ""]
    assert (cache / FILE).read_bytes() == changed


def test_a_server_that_sends_another_part_is_asked_for_the_whole_file(archive: Any, cache: Path) -> None:
    archive.script = ["cut:5000", "shift"]
    load(archive)
    assert archive.ranges == ["", "bytes=5000-", ""]
    assert (cache / FILE).read_bytes() == archive.content


def test_bytes_received_before_an_interruption_are_used_by_the_next_run(archive: Any, cache: Path) -> None:
    archive.script = ["cut:5000"]
    assert "cannot be downloaded" in refused(archive, retries=0).what
    assert not (cache / FILE).exists()
    assert (cache / f"{FILE}.partial").stat().st_size == 5000
    load(archive)
    assert archive.ranges == ["", "bytes=5000-"]


def test_all_bytes_of_an_interrupted_run_are_checked_and_used(archive: Any, cache: Path) -> None:
    archive.script = [f"cut:{len(archive.content) - 1}"]
    refused(archive, retries=0)
    with (cache / f"{FILE}.partial").open("ab") as partial:
        partial.write(archive.content[-1:])
    load(archive)
    assert archive.ranges == ["", f"bytes={len(archive.content)}-"]


def test_bytes_of_another_server_are_not_resumed(archive: Any) -> None:
    archive.script = ["cut:5000"]
    refused(archive, retries=0)
    load(archive, base_url=f"{archive.url}/mirror")
    assert archive.ranges == ["", ""]


def test_a_busy_server_is_asked_again(archive: Any) -> None:
    archive.script = ["503", "429:0"]
    log = Log()
    load(archive, log)
    assert len(archive.requests) == 3
    assert any("the server answered 503; trying again in" in text for text in log.notices)


def test_the_pause_that_a_server_asks_for_is_kept(archive: Any) -> None:
    archive.script = ["503:0.3"]
    begun = time.monotonic()
    load(archive)
    assert time.monotonic() - begun >= 0.3


def test_a_silent_connection_counts_as_broken(archive: Any) -> None:
    archive.script = ["hang:5000"]
    load(archive, timeout=0.3)
    assert archive.ranges == ["", "bytes=5000-"]


def test_a_server_that_keeps_failing_is_an_error_with_alternatives(archive: Any) -> None:
    archive.script = ["500"] * 3
    error = refused(archive, retries=2)
    assert "the server answered 500 (failed attempts: 3)" in error.what
    assert error.where == f"{archive.url}/{FILE}"
    assert "base_url" in error.hint
    assert "path" in error.hint


def test_a_port_without_a_server_is_reported() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataError, match="cannot be downloaded") as caught:
            AmazonUcsd(base_url=url, retries=1).load(7, Log())
    assert "base_url" in caught.value.hint


def test_a_file_the_server_does_not_have_is_reported_with_similar_categories(archive: Any) -> None:
    archive.script = ["404"]
    error = refused(archive, category="Automobile")
    assert "no such file" in error.what
    assert "Did you mean 'Automotive'?" in error.hint
    assert len(archive.requests) == 1


def test_a_refused_request_is_not_repeated(archive: Any) -> None:
    archive.script = ["403"]
    assert "it answered 403" in refused(archive).what
    assert len(archive.requests) == 1


def test_a_web_page_in_place_of_the_file_is_reported_and_not_kept(archive: Any, cache: Path) -> None:
    archive.script = ["page"]
    assert "is a web page" in refused(archive).what
    assert [path.name for path in cache.iterdir()] == [f"{FILE}.lock"]


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[:-6] + b"xx" + content[-4:]])
def test_a_damaged_file_is_reported_and_not_kept(damage: Callable[[bytes], bytes], archive: Any, cache: Path) -> None:
    archive.content = damage(archive.content)
    assert "not a complete gzip file" in refused(archive).what
    assert [path.name for path in cache.iterdir()] == [f"{FILE}.lock"]


def test_a_wrong_hash_is_reported_and_the_right_one_accepted(archive: Any, cache: Path) -> None:
    right = hashlib.sha256(archive.content).hexdigest()
    error = refused(archive, sha256="0" * 64)
    assert f"is {right}, not {'0' * 64}" in error.what
    assert not (cache / FILE).exists()
    load(archive, sha256=right.upper())
    assert len(archive.requests) == 2


def test_a_cached_file_with_another_hash_is_downloaded_again(archive: Any, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(gzip.compress(b"{}\n"))
    right = hashlib.sha256(archive.content).hexdigest()
    assert "SHA-256" in refused(archive, sha256=right, offline=True).what
    log = Log()
    load(archive, log, sha256=right)
    assert any(text.startswith("Downloading again") and FILE in text for text in log.notices)


def test_a_cached_file_that_was_damaged_since_is_downloaded_again(archive: Any, cache: Path) -> None:
    first = load(archive)
    (cache / FILE).write_bytes(archive.content[:-2000])
    assert "damaged or ends too early" in refused(archive, offline=True).what
    log = Log()
    assert load(archive, log) == first
    assert any(text.startswith("Downloading again") and FILE in text for text in log.notices)
    assert (cache / FILE).read_bytes() == archive.content


def test_offline_uses_the_cached_file_and_sends_no_request(archive: Any) -> None:
    error = refused(archive, offline=True)
    assert "not downloaded before" in error.what
    assert "path" in error.hint
    assert archive.requests == []
    first = load(archive)
    assert load(archive, offline=True) == first
    assert len(archive.requests) == 1


def test_a_folder_that_cannot_be_written_is_reported(
    archive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "file"))
    error = refused(archive)
    assert "cannot be stored" in error.what
    assert "FTKIT_CACHE" in error.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported(archive: Any, cache: Path) -> None:
    class Full(Download):
        @property
        def partial(self) -> Path:
            return Path("/dev/full")

        def _discard(self) -> None:
            pass

    full = Full(f"{archive.url}/{FILE}", cache / FILE, 0, 5.0, "")
    with pytest.raises(DataError, match="No space left") as caught:
        full.fetch(Log())
    assert "Free disk space" in caught.value.hint


WORKER = """
import sys
from ftkit.events import Noticed
from ftkit_amazon_ucsd import AmazonUcsd

def emit(event):
    if isinstance(event, Noticed):
        print(event.text, flush=True)

print(AmazonUcsd(base_url=sys.argv[1]).load(7, emit).report.fingerprint, flush=True)
"""


def test_two_processes_that_want_one_file_download_it_once(archive: Any, cache: Path, tmp_path: Path) -> None:
    archive.script = ["gate"]
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    workers = []
    for log in logs:
        with log.open("w") as file:
            workers.append(
                subprocess.Popen([sys.executable, "-c", WORKER, archive.url], stdout=file, stderr=file, env=os.environ)
            )
    try:
        deadline = time.monotonic() + 30
        while not any("Waiting for another process" in log.read_text() for log in logs):
            assert time.monotonic() < deadline, [log.read_text() for log in logs]
            time.sleep(0.02)
        archive.gate.set()
        assert [worker.wait(30) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len(archive.requests) == 1
    assert len({log.read_text().splitlines()[-1] for log in logs}) == 1
    assert (cache / FILE).read_bytes() == archive.content
