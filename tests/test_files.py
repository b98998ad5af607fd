"""Files and folders are complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from ftkit import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_home_and_cache_are_set_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FTKIT_CACHE", "~/cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.home() == tmp_path / "home"
    assert files.cache() == tmp_path / "cache"


def test_home_and_cache_are_folders_of_the_user_by_default(monkeypatch):
    monkeypatch.delenv("FTKIT_HOME", raising=False)
    monkeypatch.delenv("FTKIT_CACHE", raising=False)
    assert files.home().is_absolute()
    assert files.home().name == files.cache().name == "ftkit"
    assert files.home() != files.cache()


def test_a_file_is_written_with_its_folders_and_leaves_no_other_file(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "größer\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "größer\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]


def test_a_file_that_cannot_be_written_keeps_its_old_content(tmp_path, monkeypatch):
    files.write_text(tmp_path / "a", "old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_equal_values_give_equal_json(tmp_path):
    files.write_json(tmp_path / "one", {"b": 1, "a": [1.5, "x"]})
    files.write_json(tmp_path / "two", {"a": [1.5, "x"], "b": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads((tmp_path / "one").read_text()) == {"a": [1.5, "x"], "b": 1}


def test_a_folder_appears_when_its_block_ends(tmp_path):
    target = tmp_path / "deep" / "folder"
    with files.atomic_folder(target) as partial:
        (partial / "a").write_text("a")
        assert not target.exists()
    assert (target / "a").read_text() == "a"
    assert names(tmp_path / "deep") == ["folder"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    target = tmp_path / "folder"
    with files.atomic_folder(target) as partial:
        (partial / "old").write_text("old")

    def fill() -> None:
        with files.atomic_folder(target) as partial:
            (partial / "new").write_text("new")
            raise error

    with pytest.raises(type(error)):
        fill()
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_folder_replaces_an_older_one_completely(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with files.atomic_folder(target) as partial:
            (partial / name).write_text(name)
    assert names(target) == ["second"]
    assert names(tmp_path) == ["folder"]


def test_the_old_folder_is_restored_when_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    target = tmp_path / "folder"
    with files.atomic_folder(target) as partial:
        (partial / "old").write_text("old")
    replace = os.replace

    def refuse(source: Path, destination: Path) -> None:
        if str(source).endswith(".partial") and destination == target:
            raise OSError(5, "Input/output error")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"), files.atomic_folder(target) as partial:
        (partial / "new").write_text("new")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"content" * 100_000)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"content" * 100_000).hexdigest()
    with pytest.raises(FileNotFoundError):
        files.sha256(tmp_path / "b")


@pytest.mark.parametrize("path", ["a" * 300, "a/" + "ü" * 200 + "/b", "a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have_is_no_file(path):
    assert files.no_path(path)
    assert not files.exists(Path(path))
    assert files.matching(Path(path)) == []


def test_a_home_that_there_is_not_is_left_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.expanded("~/rows.csv") == tmp_path / "rows.csv"
    assert files.expanded("~nobody-of-this-name/rows.csv") == Path("~nobody-of-this-name/rows.csv")
    assert files.no_path("~/rows.csv") == ""
