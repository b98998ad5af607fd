"""The library refuses what it cannot compute, with an error and never a crash, and its threads wait patiently."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ftkit_native")

import ftkit_native
from ftkit_native import library, weights

FOLDER = Path(__file__).parent.parent
BUILD = runpy.run_path(str(FOLDER / "hatch_build.py"), run_name="hatch_build")


@pytest.fixture
def library_here():
    try:
        ftkit_native.require()
    except ftkit_native.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def written(tmp_path_factory, random_model):
    path = tmp_path_factory.mktemp("native") / "weights.safetensors"
    ftkit_native.export(random_model("bert"), path, int8=True, limit=512, typed=False)
    return path


@pytest.fixture
def network(written, library_here):
    return ftkit_native.open_model(written)


# ------------------------------------------------------------------------------------------------------------- wrong calls

IDS, STARTS = np.arange(2, 12), np.array([0, 4, 10])


@pytest.mark.parametrize(
    ("ids", "starts", "types", "reason"),
    [
        (IDS + 190, STARTS, None, "not in the vocabulary"),
        (IDS - 3, STARTS, None, "whole numbers from 0"),
        (IDS + 2**40, STARTS, None, "whole numbers from 0"),
        (IDS * 1.0, STARTS, None, "whole numbers"),
        (IDS[None], STARTS, None, "in one dimension"),
        (IDS, np.array([0, 4]), None, "do not make up the tokens"),
        (IDS, np.array([0, 8, 4, 10]), None, "do not make up the tokens"),
        (IDS, np.array([0, 0, 10]), None, "do not make up the tokens"),
        (IDS, np.array([], int), None, "do not make up the tokens"),
        (IDS, STARTS, IDS[:3], "do not make up the tokens"),
        (IDS, STARTS, IDS, "a type that the model does not know"),
        (np.full(513, 5), np.array([0, 513]), None, "longer than the model reads"),
    ],
)
def test_a_wrong_call_is_an_error(network, ids, starts, types, reason):
    with pytest.raises(ValueError, match=reason):
        network.logits(ids, starts, types)
    assert network.logits(IDS, STARTS).shape == (2, 3)


def test_no_text_gets_no_logits(network):
    assert network.logits(IDS[:0], np.array([0])).shape == (0, 3)


# ----------------------------------------------------------------------------------------------------------- damaged files


def _change(path: Path, to: Path, **changes) -> Path:
    """A copy of a file with other sizes, or without or with other weights."""
    form, arrays = weights.read(path)
    kept = dict(arrays)
    for name, value in changes.items():
        if name in weights.Form.__dataclass_fields__:
            object.__setattr__(form, name, value)
        elif value is None:
            del kept[name.replace("__", ".")]
        else:
            kept[name.replace("__", ".")] = value
    weights.write(to, form, kept)
    return to


@pytest.mark.parametrize("content", [b"", b"no network", b"\xff" * 4000, None])
def test_a_damaged_file_is_refused(written, tmp_path, content, library_here):
    path = tmp_path / "it"
    path.write_bytes(written.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(ftkit_native.Damaged, match="no safetensors file"):
        ftkit_native.open_model(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": 3}, "a weight is missing"),
        ({"layers": 1}, "called wrongly"),
        ({"hidden": 128}, "another size"),
        ({"hidden": 63}, "sizes are impossible"),
        ({"hidden": -64}, "sizes are impossible"),
        ({"inner": 2**30}, "sizes are impossible"),
        ({"vocabulary": 2**40}, "out of range"),
        ({"longest": 100_000}, "sizes are impossible"),
        ({"heads": 2.0}, "another type"),
        ({"epsilon": float("nan")}, "metadata"),
        ({"relative": 2}, "a weight is missing"),
        ({"int8": 0}, "another size"),
        ({"words": np.zeros((3, 3), np.uint16)}, "another size"),
        ({"pool": None}, "a weight is missing"),
        ({"0__qkv_scale": None}, "a weight is missing"),
        ({"2__qkv": np.zeros(3, np.int8)}, "called wrongly"),
        ({"x__qkv": np.zeros(3, np.int8)}, "unknown weight"),
        ({"surplus": np.zeros(3, np.int8)}, "unknown weight"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(written, tmp_path, changes, reason, library_here):
    with pytest.raises(ftkit_native.Damaged, match=reason):
        ftkit_native.open_model(_change(written, tmp_path / "it", **changes))


def test_a_file_of_another_format_is_refused(tmp_path, library_here):
    from safetensors.numpy import save_file

    for metadata in ({}, {"format": "ftkit-native 1"}, {"format": "ftkit-native 1", "form": json.dumps([1])}):
        save_file({"words": np.zeros(3, np.float32)}, str(tmp_path / "it"), metadata)
        with pytest.raises(ftkit_native.Damaged, match=r"not in the format|not those of a model"):
            ftkit_native.open_model(tmp_path / "it")


def test_bytes_that_are_changed_at_random_never_crash(written, tmp_path, library_here):
    """In a process of its own: a crash would end this one."""
    code = """
import sys, numpy as np, ftkit_native
from pathlib import Path
path, generator = Path(sys.argv[1]), np.random.default_rng(0)
content = np.frombuffer(path.read_bytes(), np.uint8)
header = 8 + int.from_bytes(content[:8].tobytes(), "little")
opened = 0
for turn in range(150):
    changed = content.copy()
    places = generator.integers(0, header if turn % 3 else len(content), generator.integers(1, 4))
    changed[places] = generator.integers(0, 256, len(places))
    path.with_name(f"{turn}").write_bytes(changed[: generator.integers(1, len(content))] if turn % 10 == 9 else changed)
    try:
        model = ftkit_native.open_model(path.with_name(f"{turn}"))
        model.logits(np.arange(10) % model.form.vocabulary, np.array([0, 4, 10]), threads=2)
        opened += 1
    except (ftkit_native.Damaged, ValueError, MemoryError):
        pass
print(opened)
"""
    path = shutil.copy(written, tmp_path / "it")
    process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-3000:]
    assert 20 < int(process.stdout) < 150


# ----------------------------------------------------------------------------------------------------- memory and threads


def test_an_open_file_is_in_memory_once(written, network):
    assert ftkit_native.open_model(written) is network


def test_threads_of_python_get_the_answers_of_one(network):
    generator = np.random.default_rng(0)
    requests = [generator.integers(2, 200, length) for length in generator.integers(1, 90, 60)]
    alone = [network.logits(ids, np.array([0, len(ids)])) for ids in requests]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda ids: network.logits(ids, np.array([0, len(ids)]), threads=3), requests))
    np.testing.assert_array_equal(together, alone)


def test_waiting_threads_leave_the_processor_to_others(network):
    ids, starts = np.arange(512) % 200, np.array([0, 200, 512])
    network.logits(ids, starts, threads=4)
    begun = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - begun < 0.1


def test_a_forked_process_has_threads_of_its_own(written, library_here):
    code = """
import os, sys, numpy as np, ftkit_native
from pathlib import Path
model = ftkit_native.open_model(Path(sys.argv[1]))
ids, starts = np.arange(512) % 200, np.array([0, 200, 512])
expected = model.logits(ids, starts, threads=3)
child = os.fork()
if not child:
    os._exit(0 if all((model.logits(ids, starts, threads=3) == expected).all() for _ in range(20)) else 3)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    process = subprocess.run([sys.executable, "-c", code, str(written)], timeout=120, check=False)
    assert process.returncode == 0


# --------------------------------------------------------------------------------------------------------------- the build


def test_without_its_library_the_package_says_why(monkeypatch, tmp_path):
    library.library.cache_clear()
    try:
        monkeypatch.setenv(library.PATH, str(tmp_path / "none.so"))
        with pytest.raises(ftkit_native.Unavailable, match="without its library"):
            ftkit_native.require()
        (tmp_path / "none.so").write_bytes(b"no library")
        with pytest.raises(ftkit_native.Unavailable, match="cannot be loaded"):
            ftkit_native.require()
    finally:
        library.library.cache_clear()


def test_the_library_needs_an_old_glibc_and_nothing_else(library_here):
    content = (FOLDER / BUILD["LIBRARY"]).read_bytes()
    versions = {tuple(map(int, each.split(b"."))) for each in re.findall(rb"GLIBC_([0-9.]+)", content)}
    assert versions
    assert max(versions) <= (2, 14)
    assert b"GLIBCXX" not in content
    assert b"libstdc++" not in content
    assert b"libgomp" not in content


def test_a_compiler_that_fails_or_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BUILD["NotCompiled"], match=r"no C\+\+ compiler|is for Linux"):
        BUILD["compile_library"](tmp_path / "it.so")
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BUILD["NotCompiled"], match=r"compiler failed|is for Linux"):
        BUILD["compile_library"](tmp_path / "it.so")
    assert list(tmp_path.iterdir()) == []


def test_the_slots_of_weights_are_those_of_the_library():
    source = (FOLDER / "source" / "engine.cpp").read_text()
    names = source.split("enum Slot {")[1].split("SLOTS")[0].replace("\n", " ").split(",")
    assert [each.strip().lower() for each in names if each.strip()] == list(weights.SLOTS)


def test_every_kind_of_kernel_computes_alike_and_uses_its_own_memory_alone(tmp_path):
    """Under sanitizers, with sizes and mistakes drawn at random; matrix units are emulated."""
    sanitizers = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    try:
        parts = BUILD["objects"](tmp_path, *sanitizers, "-DEMULATED_TILES")
        BUILD["link"]([*parts, FOLDER / "tests" / "fuzz.cpp"], tmp_path / "fuzz", *sanitizers, "-lm", "-lpthread")
    except BUILD["NotCompiled"] as reason:
        pytest.skip(str(reason))
    process = subprocess.run([tmp_path / "fuzz", "1", "4"], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-5000:]
    assert int(process.stdout.split()[0]) >= 3
