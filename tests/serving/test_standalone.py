"""The program that a container runs: it wants a key, and ends with the reason when its bundle cannot be served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ftkit.serving.standalone", str(folder), "--host", "127.0.0.1", "--port", "0"]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_without_a_key_nothing_is_served_unless_anybody_may_call(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.returncode == 2
    assert "FTKIT_KEY is not set" in ended.stderr


@pytest.mark.parametrize("variables", [{"FTKIT_KEY": "secret"}, {"FTKIT_AUTH": "none"}])
def test_a_bundle_that_cannot_be_served_ends_the_program_with_the_reason(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    ended = run(tmp_path / "nothing", **variables)
    assert ended.returncode == 1
    assert "nothing can be served" in ended.stderr.splitlines()[-1] or "nothing can be served" in ended.stderr
    assert "nothing" in ended.stderr
    assert "secret" not in ended.stderr
