"""The environment of a training process: set in it and not in ours, and never against the user's own settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ftkit.encoders import process_environment as environment
from ftkit.encoders.process_environment import process_environment


def test_a_process_starts_with_the_environment_and_has_its_threads():
    code = "import torch, sys; print(torch.get_num_threads())"
    inherited = {key: value for key, value in os.environ.items() if "THREADS" not in key and "MALLOC" not in key}
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | process_environment(1) | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (process.returncode, process.stdout.strip(), process.stderr) == (0, "1", "")


def test_variables_that_the_user_has_set_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    variables = process_environment(2)
    assert "OMP_NUM_THREADS" not in variables
    assert variables["MKL_NUM_THREADS"] == "2"


def test_threads_spin_briefly_unless_the_user_has_set_how_they_wait(monkeypatch):
    for name in environment.THREAD_WAITING:
        monkeypatch.delenv(name, raising=False)
    assert process_environment(2).items() >= environment.THREAD_WAITING.items()
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert not process_environment(2).keys() & environment.THREAD_WAITING.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's and tcmalloc's variables are for Linux")
def test_the_allocator_keeps_its_pages(monkeypatch):
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment, "_tcmalloc", lambda: None)
    assert int(process_environment(1)["MALLOC_TRIM_THRESHOLD_"]) > 2**28
    monkeypatch.setattr(environment, "_tcmalloc", lambda: "/lib/libtcmalloc.so.4")
    monkeypatch.setenv("LD_PRELOAD", "/lib/other.so")
    assert process_environment(1)["LD_PRELOAD"] == "/lib/other.so:/lib/libtcmalloc.so.4"
    server = process_environment(1, serving=True)
    assert "LD_PRELOAD" not in server
    assert int(server["MALLOC_TRIM_THRESHOLD_"]) > 2**28


def test_zero_threads_are_refused():
    with pytest.raises(ValueError, match="threads"):
        process_environment(0)
