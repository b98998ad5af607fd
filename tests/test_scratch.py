"""Temporary folders go with the block, and with the next block where the process was killed."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from ftkit import scratch


def left_by_a_process_that_was_killed(place: Path) -> Path:
    """The folder of a process that was killed in its block."""
    child = os.fork()
    if child == 0:
        with scratch.folder(parent=str(place)) as folder:
            (folder / "log").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = place.iterdir()
    assert (left / "work" / "log").is_file()
    return left


def test_a_folder_is_private_and_goes_with_its_block(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch.folder(parent=str(tmp_path)) as folder:
            (folder / "deep").mkdir()
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
            assert list(folder.iterdir()) == [folder / "deep"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    left_by_a_process_that_was_killed(tmp_path)
    with scratch.folder(parent=str(tmp_path)) as first:
        assert list(tmp_path.iterdir()) == [first.parent]
        with scratch.folder(parent=str(tmp_path)) as second:
            assert first.is_dir()
            assert second.is_dir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["not made here", "open to others", "a link", "a file"])
def test_what_may_be_somebody_elses_stays(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    left = left_by_a_process_that_was_killed(place)
    if kind == "not made here":
        (left / "owner").unlink()
    elif kind == "open to others":
        left.chmod(0o777)
    elif kind == "a link":
        left.rename(tmp_path / "elsewhere")
        left.symlink_to(tmp_path / "elsewhere")
    else:
        left.rename(tmp_path / "elsewhere")
        left.write_text("a file")
    with scratch.folder(parent=str(place)):
        pass
    assert list(place.iterdir()) == [left]
    assert kind not in ("a link", "a file") or (tmp_path / "elsewhere" / "work" / "log").is_file()
