"""Pickles and compiled Python are found by content, wherever they lie; nothing else is taken for them."""

from __future__ import annotations

import bz2
import collections
import gzip
import io
import json
import lzma
import marshal
import os
import pickle
import pickletools
import py_compile
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.bundle import pickles


class Calls:
    """Calls a function when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.getpid, ()


OBJECTS: dict[str, Any] = {
    "dict": {"good": 1, "bad": [2, 3.5, None]},
    "list": ["a", "b"],
    "numbers": list(range(20_000)),
    "call": Calls(),
    "class": collections.Counter("aab"),
    "function": os.getcwd,
    "array": np.zeros((200, 200)),
    "long text": "x" * 200_000,
    "text, then a call": ["x" * 200_000, Calls()],
}


def found(folder: Path, content: bytes) -> str:
    path = folder / "file"
    path.write_bytes(content)
    return pickles.finding(path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", OBJECTS)
def test_a_pickle_of_any_protocol_is_found(tmp_path: Path, name: str, protocol: int) -> None:
    content = pickle.dumps(OBJECTS[name], protocol)
    assert found(tmp_path, content) == "a pickle"
    assert found(tmp_path, content + b"what follows is never read") == "a pickle"
    assert found(tmp_path, pickletools.optimize(content)) == "a pickle" or protocol < 2


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"cos\nsystem\n(S'true'\ntRthis is not a pickle any more, but the call was made",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R",
    ],
)
def test_a_pickle_made_by_hand_that_calls_something_is_found_even_if_it_breaks_off(
    tmp_path: Path, content: bytes
) -> None:
    assert found(tmp_path, content) == "a pickle"


def zipped(content: bytes, name: str = "inner/data.pkl", **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(name, content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, each in {"readme": b"text", "data.pkl": content}.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return buffer.getvalue()


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "zip": zipped,
    "deflated zip": lambda content: zipped(content, compression=zipfile.ZIP_DEFLATED),
    "zip behind a script": lambda content: b"#!/bin/sh\nexit\n" * 9 + zipped(content),
    "zip in zip": lambda content: zipped(zipped(content), "inner.zip"),
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "tar": tarred,
    "tar.gz": lambda content: gzip.compress(tarred(content)),
    "zip in tar.xz": lambda content: lzma.compress(tarred(zipped(content))),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", ["dict", "call", "numbers"])
def test_a_pickle_in_an_archive_is_found_and_its_member_named(tmp_path: Path, wrapping: str, name: str) -> None:
    finding = found(tmp_path, WRAPPINGS[wrapping](pickle.dumps(OBJECTS[name])))
    assert finding.startswith("a pickle")
    assert ("data.pkl" in finding) == ("zip" in wrapping.split() or "tar" in wrapping)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_an_archive_of_texts_and_weights_is_fine(tmp_path: Path, wrapping: str) -> None:
    assert not found(tmp_path, WRAPPINGS[wrapping](b"words and words\n" * 20_000))
    assert not found(tmp_path, WRAPPINGS[wrapping](np.random.default_rng(1).normal(size=30_000).tobytes()))


def _joblib(path: Path, **options: Any) -> None:
    import joblib

    joblib.dump({"weights": np.arange(10_000.0), "name": "x"}, path, **options)


def _torch(path: Path, **options: Any) -> None:
    import torch

    torch.save({"weight": torch.zeros(3, 3)}, path, **options)


def _cloudpickle(path: Path) -> None:
    import cloudpickle

    path.write_bytes(cloudpickle.dumps(lambda x: x + 1))


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, plain=np.zeros(3), objects=np.array([{}, None], dtype=object))


def _npy(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


def _pyc(path: Path) -> None:
    source = path.with_suffix(".py")
    source.write_text("x = 1\n")
    py_compile.compile(str(source), str(path))


WRITERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "joblib": (_joblib, "a pickle"),
    **{
        f"joblib {each}": (lambda path, each=each: _joblib(path, compress=(each, 3)), "a pickle")
        for each in ("zlib", "gzip", "bz2", "lzma", "xz")
    },
    "torch": (_torch, "a pickle in"),
    "torch, as before 1.6": (lambda path: _torch(path, _use_new_zipfile_serialization=False), "a pickle"),
    "cloudpickle": (_cloudpickle, "a pickle"),
    "npz of objects": (_npz, "a numpy array of objects, which is a pickle in objects.npy"),
    "npy of objects": (lambda path: _npy(path, np.array([{}], dtype=object)), "a numpy array of objects"),
    "npy with a field of objects": (
        lambda path: _npy(path, np.zeros(2, dtype=[("n", "f8"), ("x", "O")])),
        "a numpy array of objects",
    ),
    "pyc": (_pyc, "compiled Python"),
    "marshal": (
        lambda path: path.write_bytes(marshal.dumps(compile("x = 1", "x", "exec"))) and None,
        "compiled Python",
    ),
    "keras": (
        lambda path: path.write_bytes(zipped(b'{"class_name": "Lambda", "config": {}}', "layers.json")) and None,
        "a Keras Lambda layer",
    ),
    "keras h5": (
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90_000) + b'{"class_name": "Lambda"}') and None,
        "a Keras Lambda layer",
    ),
    "zstd": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(99)) and None, "packed by zstd"),
    "lz4 in a zip": (lambda path: path.write_bytes(zipped(b"\x04\x22\x4d\x18" + bytes(99))) and None, "packed by lz4"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_libraries_write_with_pickles_in_it_is_found(tmp_path: Path, writer: str) -> None:
    write, expected = WRITERS[writer]
    write(tmp_path / "file.weights")
    assert pickles.finding(tmp_path / "file.weights").startswith(expected)


def _safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    from safetensors.numpy import save_file

    save_file(tensors, path)
    return path


def _onnx() -> bytes:
    from onnx import TensorProto, helper

    one, two = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab")
    return helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", [one], [two])
    ).SerializeToString()


HARMLESS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "onnx": _onnx,
    "openvino xml": lambda: b'<?xml version="1.0"?>\n<net name="x" version="11">\n</net>\n',
    "json": lambda: json.dumps({"model": {"vocab": {"[PAD]": 0, "lambda": 1}}, "class_name": "Lambda2"}).encode(),
    "vocabulary": lambda: b"[PAD]\n[UNK]\nthe\n##s\n",
    "vocabulary of words": lambda: b"cat\ndog\n.\n(\nin\nthe\nVersion 1\n.\n",
    "numbers": lambda: b"I1\n.\n",
    "a sentence": lambda: b"(in this file\nwe have a list of words)\n.",
    "python": lambda: b"class A:\n    pass\n",
    "npy": lambda: _bytes(lambda file: np.save(file, np.zeros(3))),
    "npy with a field named O": lambda: _bytes(lambda file: np.save(file, np.zeros(3, dtype=[("O", "<f4")]))),
    "npz": lambda: _bytes(lambda file: np.savez(file, a=np.zeros(3), b=np.array(["x", "y"]))),
    "hdf5": lambda: b"\x89HDF\r\n\x1a\n" + bytes(1000),
    "lines of windows": lambda: b"ab\r\ncd\r\nef\r\n",
    "zeros": lambda: bytes(10_000),
}


def _bytes(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_bundle_may_hold_is_no_finding(tmp_path: Path, name: str) -> None:
    assert not found(tmp_path, HARMLESS[name]())


def test_safetensors_are_fine_whatever_their_weights_look_like(tmp_path: Path) -> None:
    looks_bad = np.frombuffer(pickle.dumps(Calls()).ljust(64, b"."), dtype=np.uint8)
    path = _safetensors(tmp_path / "model.safetensors", {"a": looks_bad, "b": np.zeros((300, 300))})
    assert not pickles.finding(path)
    for length in (0x0480, 0x088B1F // 64 * 64 + 31, 0x9C78):  # headers whose length begins like a pickle, gzip, zlib
        header = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode().ljust(length)
        assert not found(tmp_path, struct.pack("<Q", length) + header + b"1234")


def test_a_zip_behind_safetensors_is_looked_into(tmp_path: Path) -> None:
    path = _safetensors(tmp_path / "model.safetensors", {"a": np.zeros(3)})
    path.write_bytes(path.read_bytes() + zipped(pickle.dumps({})))
    assert pickles.finding(path) == "a pickle in inner/data.pkl"


@given(st.text())
def test_no_text_is_taken_for_a_pickle(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert not found(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)))
def test_no_vocabulary_is_taken_for_a_pickle(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    assert not found(tmp_path_factory.getbasetemp(), "\n".join(words).encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_no_json_is_taken_for_a_pickle(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    assert not found(tmp_path_factory.getbasetemp(), json.dumps(value).encode())


def test_no_random_weights_are_taken_for_a_pickle(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for _ in range(2000):
        kind = random.choice([np.float32, np.float16, np.int8, np.uint8])
        content = (random.normal(size=300) * 60).astype(kind).tobytes()
        assert not found(tmp_path, content)


def test_archives_without_end_are_given_up_and_named(tmp_path: Path) -> None:
    nested = b"text"
    for _ in range(9):
        nested = zipped(nested, "inner.zip")
    assert "too deep" in found(tmp_path, nested)


def test_a_bomb_costs_little_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "_MOST_BYTES", 2**24)
    bomb = gzip.compress(tarred(bytes(2**25)))
    assert "too large" in found(tmp_path, bomb)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    assert "cannot be searched" in found(tmp_path, zipped(b"text" * 1000)[:300])
    damaged = bytearray(zipped(b"text" * 1000))
    damaged[80] ^= 255
    assert "cannot be searched" in found(tmp_path, bytes(damaged))


def test_large_weights_are_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.write(b"\x01\x02weights")
        file.truncate(2**36)
    began = time.process_time()
    assert not pickles.finding(large)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("text", [b"x^6", b"x^", b"x\x9c and more words\n" * 50, b"x\xda"])
def test_a_text_that_begins_as_compressed_data_do_is_a_text(tmp_path: Path, text: bytes) -> None:
    assert not found(tmp_path, text)


def test_a_pickle_in_compressed_data_that_break_off_is_found(tmp_path: Path) -> None:
    packed = zlib.compress(pickle.dumps(os.system), 6)
    assert found(tmp_path, packed)
    assert found(tmp_path, packed[:-4])
