"""Files of an endpoint that were damaged: an error in words, and no signal to a process that is not the front."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ftkit_local.endpoint import launch
from ftkit_local.endpoint.folder import Entry, Folder, State

from ftkit.errors import DeployError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "news")
    folder.make()
    return folder


@pytest.mark.parametrize("content", [b"\xff\xfe", "schlüssel".encode(), b"one\ntwo", b"a\0b", b"two words"])
def test_a_key_that_no_header_can_hold_is_refused(folder: Folder, content: bytes) -> None:
    folder.key.write_bytes(content)
    with pytest.raises(DeployError, match="key cannot be read") as refused:
        folder.read_key()
    assert str(folder.key) in refused.value.where


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"port": "80"},
        {"port": -1},
        {"host": 3},
        {"auth": "sometimes"},
        {"deployments": [{"name": "../../outside"}]},
        {"port": 80.0},
        {"deployments": [{"name": "v1", "traffic": "all"}]},
        {"deployments": [{"name": "v1", "traffic": 50.0}]},
        {"deployments": [{"name": "v1", "threads": 0.5}]},
        {"deployments": [{"name": "v1", "request_timeout": 1e999}]},
        {"deployments": [{"name": "v1", "limits": {"batch": 1.5}}]},
        {"deployments": [{"name": "v1", "limits": {"rows": "many"}}]},
        {"deployments": {"v1": 100}},
        {"deployments": 3},
        {"sticky": None},
    ],
)
def test_a_state_that_nobody_wrote_is_refused(folder: Folder, change: dict[str, Any]) -> None:
    folder.write(State("127.0.0.1", 0, "none", (Entry("v1", 100),)))
    assert folder.read() == State("127.0.0.1", 0, "none", (Entry("v1", 100),))
    folder.state.write_text(json.dumps(json.loads(folder.state.read_text()) | change))
    with pytest.raises(DeployError, match="state cannot be read"):
        folder.read()


@pytest.mark.parametrize("pid", ["0", "-1", "1", "9" * 30, "", "a"])
def test_a_damaged_number_of_the_front_ends_no_process(
    folder: Folder, pid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *sent: pytest.fail(f"a signal was sent: {sent}"))
    monkeypatch.setattr(launch, "is_running", lambda _: True)
    monkeypatch.setattr(launch, "_wait", lambda *_: (_ for _ in ()).throw(DeployError("it does not end")))
    folder.pid.write_text(pid)
    with pytest.raises(DeployError, match="does not end"):
        launch.stop(folder)
