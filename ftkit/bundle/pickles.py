"""Finds pickles and compiled Python in files by their content, whatever their names say and whichever archives they lie in.

Reading a pickle can run any code, so a bundle holds none. Nothing is unpickled here. Of a file that is no archive only the beginning
is read, so that weights of any size cost nothing; archives and compressed files are opened, within limits, and one that cannot be
looked into is a finding as well.

It finds what a loader would read: a pickle at the beginning of a file, of a member of an archive, or of what was compressed. It does
not find one that is hidden on purpose from every loader but its own, such as one in base64 inside of a text.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ftkit.bundle.pickle_operations import is_pickle

_HEAD = 2**16
"""Bytes that tell what a file is."""
_LONG_HEAD = 2**24
"""Bytes that are read of what may be a pickle by its head."""
_DEEPEST = 5
"""Archives inside of each other that are opened."""
_MOST_BYTES = 2**30
"""Bytes of one file that are unpacked in all."""
_MOST_MEMBERS = 20_000
"""Members of one file's archives that are looked at in all."""

_UNREADABLE = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
"""How files begin that the standard library cannot unpack."""

_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # a member with a password, or of an unknown compression
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What reading a damaged archive raises."""

_OBJECTS = re.compile(rb"'[|<>=]O\d*'")
"""The type of objects in the header of a numpy file."""
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"Lambda"')


def finding(path: Path) -> str:
    """What a bundle must not hold of this file, as a phrase such as `a pickle in archive/data.pkl`; empty if there is nothing.

    Raises: OSError.
    """
    search = _Search()
    with path.open("rb") as file:
        return ("" if _is_safetensors(file) else search.file(file)) or search.zip_at_end(file)


class _TooMuchError(Exception):
    """There is more to look at than the limits allow."""


class _Search:
    """The search through one file; counts what it unpacks."""

    def __init__(self) -> None:
        self._bytes = 0
        self._members = 0

    def file(self, file: IO[bytes], depth: int = 0) -> str:
        """What is wrong with a file that can be read from any place."""
        file.seek(0)
        head = file.read(_HEAD)
        if wrong := _wrong(head, lambda: file.read(_LONG_HEAD)):
            return wrong
        for magic, packer in _UNREADABLE.items():
            if head.startswith(magic):
                return f"packed by {packer}, so that it cannot be searched for pickles"
        if head.startswith(_ZIP):
            return self._archive(file, _members_of_zip, depth)
        if _is_tar(head):
            return self._archive(file, _members_of_tar, depth)
        return self._archive(file, lambda packed: _unpacked(packed, head), depth)

    def zip_at_end(self, file: IO[bytes]) -> str:
        """What is wrong with a zip that something else stands before: those who read a zip begin at its end."""
        try:
            if not zipfile.is_zipfile(file):
                return ""
            zipfile.ZipFile(file).close()
        except _DAMAGED:  # these bytes only look like the end of a zip
            return ""
        return self._archive(file, _members_of_zip, 0)

    def _archive(self, file: IO[bytes], members: _Members, depth: int) -> str:
        """What is wrong with the first member of an archive that may not be there."""
        try:
            file.seek(0)
            for name, member in members(file):
                if wrong := self._member(name, member, depth):
                    return f"{wrong} in {name}" if name and " in " not in wrong else wrong
        except _TooMuchError:
            return "an archive that is too large or too deep to be searched for pickles"
        except _DAMAGED as error:
            return f"an archive that cannot be searched for pickles ({str(error) or type(error).__name__:.80})"
        return ""

    def _member(self, name: str, member: IO[bytes], depth: int) -> str:
        """What is wrong with a member; it is unpacked as a whole only if it is an archive itself."""
        self._members += 1
        if self._members > _MOST_MEMBERS or depth >= _DEEPEST:
            raise _TooMuchError
        head = self._read(member, _HEAD)
        if wrong := _wrong(head, lambda: self._read(member, _LONG_HEAD)):
            return wrong
        if not _is_packed(head):
            return ""
        with tempfile.SpooledTemporaryFile(max_size=_LONG_HEAD) as whole:
            whole.write(head)
            while part := self._read(member, 2**20):
                whole.write(part)
            return self.file(whole, depth + 1)

    def _read(self, member: IO[bytes], size: int) -> bytes:
        part = member.read(size)
        self._bytes += len(part)
        if self._bytes > _MOST_BYTES:
            raise _TooMuchError
        return part


_Members = Callable[[IO[bytes]], Iterator[tuple[str, IO[bytes]]]]


def _members_of_zip(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                with archive.open(entry) as member:
                    yield entry.filename, member


def _members_of_tar(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for entry in archive:
            if entry.isfile() and (member := archive.extractfile(entry)):
                yield entry.name, member


def _unpacked(file: IO[bytes], head: bytes) -> Iterator[tuple[str, IO[bytes]]]:
    """The content of a compressed file, as the only member of an archive; nothing for any other file."""
    for magic, opener in _COMPRESSED.items():
        if head.startswith(magic):
            content = opener(file)
            try:
                content.read(1)
            except _DAMAGED:  # it only begins like one
                return
            content.seek(0)
            yield "", content


def _zlib_content(file: IO[bytes]) -> IO[bytes]:
    """What stands at the beginning of zlib's data; the standard library has no reader of whole files.

    Nothing where not a byte can be unpacked: a text may begin as zlib's data do, and no program can load a pickle from it.
    """
    unpacker, content = zlib.decompressobj(), file.read(_LONG_HEAD)
    try:
        return io.BytesIO(unpacker.decompress(content, _LONG_HEAD))
    except zlib.error:
        with contextlib.suppress(zlib.error):
            zlib.decompressobj().decompress(content, 1)
            raise
        return io.BytesIO()


_ZIP = b"PK\x03\x04"
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
    **{bytes((0x78, level)): _zlib_content for level in (0x01, 0x5E, 0x9C, 0xDA)},
}
"""How compressed files begin, and what reads them."""


def _is_packed(head: bytes) -> bool:
    """Whether a file is an archive or compressed, by its beginning."""
    return head.startswith((_ZIP, b"\x89HDF", *_COMPRESSED, *_UNREADABLE)) or _is_tar(head)


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _is_safetensors(file: IO[bytes]) -> bool:
    """Whether a header of JSON describes the tensors of a file up to its last byte, so that there is no room for anything else.

    Source: safetensors, "Format".
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, _LONG_HEAD):
        return False
    try:
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return 8 + length + max((each["data_offsets"][1] for each in header.values()), default=0) == size
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError):
        return False


def _wrong(head: bytes, more: Callable[[], bytes]) -> str:
    """What is wrong with a file that is no archive, by its head and, where that does not tell, by what `more` returns."""
    complete = len(head) < _HEAD
    answer = is_pickle(head, complete)
    if answer is None:
        rest = more()
        answer = is_pickle(head + rest, len(rest) < _LONG_HEAD)
    if answer:
        return "a pickle"
    if head.startswith(b"\x93NUMPY") and _OBJECTS.search(head[: 12 + int.from_bytes(head[8:10], "little")]):
        return "a numpy array of objects, which is a pickle"
    if _is_bytecode(head):
        return "compiled Python"
    if head.startswith((b"{", b"\x89HDF")) and _LAMBDA.search(head if complete else head + more()):
        return "a Keras Lambda layer, which is compiled Python"
    return ""


def _is_bytecode(head: bytes) -> bool:
    """Whether this is a .pyc file or a code object of marshal. Source: CPython, `importlib/_bootstrap_external.py`, `marshal.c`."""
    if head[2:4] == b"\r\n":
        return any(_is_code(head[start:]) for start in (8, 12, 16))
    return _is_code(head)


def _is_code(content: bytes) -> bool:
    """Whether marshal's mark of a code object stands here, with the small numbers of arguments that follow it."""
    return content[:1] in (b"c", b"\xe3") and len(content) > 12 and max(struct.unpack("<3I", content[1:13])) < 256
