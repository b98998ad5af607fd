"""Packed files are unpacked by their content, and what holds no rows is named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ftkit.data.rows import lines
from ftkit.errors import DataError


def silent(event: object) -> None:
    """An emit that ignores every event."""


ROWS = b"one\n\nthree\n"


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("rows.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zstandard(content: bytes) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    return bytes(pyarrow.compress(content, codec="zstd", asbytes=True))


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard,
        lambda content: zipped(("rows.csv", content)),
        lambda content: zipped(("folder/", b""), ("__MACOSX/._rows.csv", b"\0"), ("folder/rows.csv", content)),
    ],
    ids=["gzip", "bzip2", "xz", "zstandard", "zip", "zip of a Mac"],
)
def test_packed_files_are_unpacked_whatever_their_name(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(pack(ROWS))
    assert list(lines(path, silent)) == [(1, b"one\n"), (3, b"three\n")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_packed_file_that_is_cut_is_damaged(pack: Callable[[bytes], bytes], share: float, tmp_path: Path) -> None:
    content = pack(random.Random(1).randbytes(50_000))
    path = tmp_path / "rows.gz"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="damaged or ends too early"):
        list(lines(path, silent))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped(("a.csv", ROWS), ("b.csv", ROWS)), "a zip archive of 2 files: a.csv, b.csv"),
        (zipped(), "a zip archive of 0 files"),
        (zipped(("[Content_Types].xml", b""), ("xl/workbook.xml", b"")), "an Excel workbook"),
        (zipped(("[Content_Types].xml", b""), ("word/document.xml", b"")), "an Office document"),
        (zipped(("mimetype", b"application/vnd.oasis.opendocument.spreadsheet")), "an OpenDocument file"),
        (zipped(("rows.csv", ROWS))[:-30], "damaged or ends too early"),
        (zipped(("rows.csv", b"")), "the zip file has an empty file in it"),
        (gzip.compress(b""), "the gzip file has an empty file in it"),
        (tarred(ROWS), "a tar archive"),
        (gzip.compress(tarred(ROWS)), "a tar archive"),
        (b"SQLite format 3\0" + b"\0" * 100, "an SQLite database"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "an old Excel or Office file"),
        (pickle.dumps(["text"]), "a Python pickle"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>Not found</html>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # packed bytes hold the time
)
def test_what_holds_no_rows_is_named_with_what_to_do(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(lines(path, silent))
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_a_zip_file_that_needs_a_password_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped(("rows.csv", ROWS)))
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1  # the flag of an encrypted file
    (tmp_path / "rows.zip").write_bytes(content)
    with pytest.raises(DataError, match="it needs a password"):
        list(lines(tmp_path / "rows.zip", silent))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device without an end")
def test_a_device_is_no_file_of_rows() -> None:
    with pytest.raises(DataError, match="this is no file, but a device or a pipe"):
        list(lines(Path("/dev/zero"), silent))
