"""Open a data file whatever it is packed in, and name what is no data: its first bytes decide, not its suffix."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from ftkit import files
from ftkit.errors import DataError

GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a damaged gzip file raises: the cause of the `DataError` that reports it."""

HEAD_BYTES = 512
"""How much of a file is looked at to tell what it is."""

PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
"""What a file is packed with, by its first bytes."""

NO_DATA = {
    b"SQLite format 3\x00": (
        "an SQLite database",
        "Export its table: sqlite3 -header -csv FILE 'select * from …' > rows.csv.",
    ),
    b"%PDF-": ("a PDF document", "Give the table that it shows as a csv file."),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "an old Excel or Office file",
        'Save the sheet as "CSV UTF-8" and give that file.',
    ),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it, and give the file with the rows."),
    b"Rar!\x1a\x07": ("a rar archive", "Unpack it, and give the file with the rows."),
    b"\x89HDF\r\n": ("an HDF5 file", "Write its table as csv or parquet: frame.to_parquet(…)."),
    b"\x93NUMPY": ("a NumPy array", "Write texts and labels as csv or parquet: frame.to_parquet(…)."),
    b"ORC": ("an ORC file", "Write it as parquet: pyarrow.orc.read_table(…), pyarrow.parquet.write_table(…)."),
    b"Obj\x01": ("an Avro file", "Write its rows as parquet or as JSON lines."),
    b"\x89PNG": ("an image", "Give a file of texts and labels."),
    b"\xff\xd8\xff": ("an image", "Give a file of texts and labels."),
    b"GIF8": ("an image", "Give a file of texts and labels."),
    b"\x7fELF": ("a program", "Give a file of texts and labels."),
    b"{\\rtf": ("a document in rich text format", "Save it as plain text."),
    b"version https://git-lfs": (
        "a Git LFS pointer, which stands for the data and does not hold it",
        "Fetch the file itself: git lfs pull.",
    ),
}
"""What a file is that holds no rows, and what to do, by its first bytes."""

PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error>")


@contextmanager
def open_data(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a data file: its content, unpacked if it is packed, and the file itself, whose position shows the progress.

    gzip, bzip2, xz and Zstandard files are unpacked, and zip archives of one file.

    Raises: DataError, also while the block reads, for a file that is missing, cannot be read or is empty, for a damaged archive and
    one of several files, and for what holds no rows: a workbook, a database, a web page.
    """
    packed = ""
    try:
        if files.exists(path) and not (path.is_file() or path.is_dir()):
            raise DataError(
                "this is no file, but a device or a pipe", where=str(path), hint="Write the rows to a file first."
            )
        with path.open("rb") as raw, ExitStack() as stack:
            packed = package(raw.peek(8))
            content = stack.enter_context(_unpacked(path, raw, packed)) if packed else raw
            check_content(path, content.peek(HEAD_BYTES)[:HEAD_BYTES], packed)
            yield content, raw
    except FileNotFoundError as error:
        raise DataError("there is no such file", where=str(path), hint=_similar_name(path)) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder, not a file", where=str(path), hint="Give the path of one file.") from error
    except (*GZIP_ERRORS, zipfile.BadZipFile, lzma.LZMAError, OSError) as error:
        if not isinstance(error, OSError) or isinstance(error, gzip.BadGzipFile) or (packed and error.errno is None):
            raise DataError(
                f"the {packed or 'packed'} file is damaged or ends too early: {error}",
                where=str(path),
                hint="Its download was probably incomplete: download it again.",
            ) from error
        raise DataError(
            f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            hint="Fix its permissions or the disk, or give another path.",
        ) from error


def package(head: bytes) -> str:
    """What a file is packed with, by its first bytes; empty if it is not packed."""
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), "")


def check_content(path: Path, head: bytes, packed: str = "") -> None:
    """Raises: DataError for the first bytes of a file that is empty or holds no rows of text."""
    if not head:
        what = f"the {packed} file has an empty file in it" if packed else "the file is empty"
        raise DataError(what, where=str(path), hint="Give a file with rows in it.")
    for magic, (kind, hint) in NO_DATA.items():
        if head.startswith(magic):
            raise DataError(f"this is {kind}", where=str(path), hint=hint)
    if head[257:262] == b"ustar":
        raise DataError(
            "this is a tar archive", where=str(path), hint="Unpack it (tar -xf), and give the file with the rows."
        )
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise DataError(
            "this is a Python pickle, which can run code when it is loaded",
            where=str(path),
            hint="Write the table as parquet, where you trust the file: pandas.read_pickle(…).to_parquet(…).",
        )
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:32].lower()
    if start.startswith(PAGES):
        raise DataError(
            f"this is {'an XML document' if start.startswith(b'<?xml') else 'an HTML page'}, not a table of rows",
            where=str(path),
            hint="It is probably the answer of a server instead of the file: download the file again, by its direct address.",
        )


def _unpacked(path: Path, raw: IO[bytes], packed: str) -> AbstractContextManager[Any]:
    """The content of a packed file. Raises: DataError."""
    if packed == "gzip":
        return gzip.open(raw)
    if packed == "bzip2":
        return bz2.open(raw)
    if packed == "xz":
        return lzma.open(raw)
    return _zstandard(path, raw) if packed == "zstandard" else _zip(path, raw)


def _zstandard(path: Path, raw: IO[bytes]) -> AbstractContextManager[Any]:
    """The content of a Zstandard file. Raises: DataError."""
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            "this is a Zstandard file, which needs pyarrow here", where=str(path), hint="Unpack it: zstd -d FILE."
        ) from error
    return io.BufferedReader(_Stream(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd")))


class _Stream(io.RawIOBase):
    """What pyarrow unpacks, as a binary file of Python."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._source.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _zip(path: Path, raw: IO[bytes]) -> AbstractContextManager[Any]:
    """The one file of a zip archive. Raises: DataError for several files, a workbook, and a file that needs a password."""
    archive = zipfile.ZipFile(raw)
    names = [
        entry.filename
        for entry in archive.infolist()
        if not entry.is_dir()
        and not entry.filename.startswith("__MACOSX/")
        and Path(entry.filename).name != ".DS_Store"
    ]
    if "[Content_Types].xml" in names:
        kind = "an Excel workbook" if any(name.startswith("xl/") for name in names) else "an Office document"
        hint = 'Save the sheet as "CSV UTF-8" and give that file.'
        raise DataError(f"this is {kind}", where=str(path), hint=hint)
    if "mimetype" in names and archive.read("mimetype").startswith(b"application/vnd.oasis"):
        hint = "Save the sheet as csv in UTF-8 and give that file."
        raise DataError("this is an OpenDocument file", where=str(path), hint=hint)
    if len(names) != 1:
        listed = f": {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}" if names else ""
        raise DataError(
            f"this is a zip archive of {len(names):,} files{listed}"[:400],
            where=str(path),
            hint="Unpack it, and give the file with the rows." if names else "Give a file with rows in it.",
        )
    entry = archive.getinfo(names[0])
    if entry.flag_bits & 1 or entry.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        why = "it needs a password" if entry.flag_bits & 1 else "Python does not know its compression"
        raise DataError(
            f"this zip archive cannot be unpacked: {why}", where=str(path), hint="Unpack it, and give the file in it."
        )
    return archive.open(entry)


def _similar_name(path: Path) -> str:
    import difflib

    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    except OSError:
        return f"The folder {path.parent} does not exist either." if not path.parent.is_dir() else ""
    near = difflib.get_close_matches(path.name, names, 1)
    return f"Did you mean {near[0]!r}?" if near else "Relative paths start at the recipe's folder."
