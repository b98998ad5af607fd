"""Checkpoints from the hub, here an HTTP server on loopback; and offline, without any connection."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("loopback_hub", Path(__file__).with_name("hub.py"))
hub = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hub)

PROLOGUE = """
import sys
from dataclasses import dataclass
calls = []
sys.addaudithook(lambda event, arguments: calls.append((event, str(arguments[-1]))) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.sendto") else None)
from ftkit.encoders import Encoder
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.errors import FtkitError

@dataclass(frozen=True, kw_only=True)
class Any(Encoder):
    name = "any"

def checkpoint_or_error(**options):
    try:
        return open_checkpoint(Any(**options))
    except FtkitError as error:
        return f"{type(error).__name__}: {error}"
"""


def run(code, home, endpoint):
    """The output of a new process: the hub's library reads its settings when it is imported."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    process = subprocess.run(
        [sys.executable, "-c", PROLOGUE + textwrap.dedent(code)],
        env=inherited | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def repositories(tiny):
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    pickled = {name: content for name, content in files.items() if name != "model.safetensors"}
    pickled["pytorch_model.bin"] = b"\x80\x02."
    return {
        "someone/tiny": {"main": files | {"model.py": b"raise SystemExit('code from the hub ran')"}},
        "someone/pickled": {"main": pickled, "refs/pr/3": files, "refs/pr/4": files},
        "someone/only-pickled": {"main": pickled},
    }


def proposal(number, author):
    return {
        "num": number, "title": "Adding `safetensors` variant of this model", "status": "open", "isPullRequest": True,
        "author": {"name": author}, "repo": {"name": "someone/pickled", "type": "model"},
        "createdAt": "2023-01-01T00:00:00.000Z",
    }  # fmt: skip


@pytest.fixture(scope="module")
def downloaded(repositories, tmp_path_factory):
    """A cache filled from the loopback hub, the output of the process that filled it, and the requested paths."""
    home = tmp_path_factory.mktemp("hub")
    proposals = {"someone/pickled": [proposal(4, "somebody"), proposal(3, "SFconvertbot")]}
    with hub.running(repositories, proposals) as (endpoint, requested):
        printed = run(
            """
            import json
            checkpoint = checkpoint_or_error(checkpoint="someone/tiny")
            assert not isinstance(checkpoint, str), checkpoint
            model = checkpoint.model(("bad", "good"))
            print(json.dumps([
                sorted(path.name for path in checkpoint.folder.iterdir()), model.num_parameters(),
                checkpoint_or_error(checkpoint="someone/pickled").folder.name,
                checkpoint_or_error(checkpoint="someone/only-pickled"),
                checkpoint_or_error(checkpoint="someone/nothing"),
                checkpoint_or_error(checkpoint="someone/tiny", revision="v9"),
            ]))
            """,
            home,
            endpoint,
        )
    return home, json.loads(printed), requested


def test_a_hub_checkpoint_is_downloaded_without_pickles_or_code(downloaded):
    _, (files, parameters, *_), requested = downloaded
    assert "model.safetensors" in files
    assert parameters > 10_000
    assert not [path for path in requested if path.endswith((".py", ".bin"))]


def test_pickled_weights_are_replaced_by_the_hubs_own_conversion_and_by_no_other(downloaded):
    assert downloaded[1][2] == hub.commit("someone/pickled", "refs/pr/3")


def test_weights_that_are_only_pickled_are_refused(downloaded):
    assert downloaded[1][3].startswith("CheckpointError")
    assert "model.safetensors" in downloaded[1][3]


def test_an_unknown_repository_and_an_unknown_revision_are_named(downloaded):
    assert "the hub has no model 'someone/nothing'" in downloaded[1][4]
    assert "no revision 'v9'" in downloaded[1][5]


def test_offline_uses_the_cache_and_opens_no_connection(downloaded, tiny):
    printed = run(
        f"""
        import tempfile
        from pathlib import Path
        from ftkit.testing.backbones import separable_data
        data = separable_data(rows=24)
        for checkpoint in ("someone/tiny", "someone/pickled", {str(tiny)!r}):
            classifier = Any(checkpoint=checkpoint, offline=True, epochs=1).fit(data, 1, lambda *a, **k: True)
            with tempfile.TemporaryDirectory() as folder:
                classifier.save(Path(folder))
                print(Any().load(Path(folder)).probabilities(["a ship"]).shape)
        print(checkpoint_or_error(checkpoint="someone/else", offline=True))
        print(calls)
        """,
        downloaded[0],
        "http://127.0.0.1:9",
    )
    *shapes, error, _hint, calls = printed.strip().splitlines()
    assert shapes == ["(1, 3)"] * 3
    assert "someone/else is not in the hub's cache" in error
    assert calls == "[]"


def test_an_unreachable_hub_is_an_error_that_names_the_local_alternatives(tmp_path):
    printed = run(
        """
        print(checkpoint_or_error(checkpoint="someone/tiny"))
        assert calls
        """,
        tmp_path,
        "http://127.0.0.1:9",
    )
    assert printed.startswith("CheckpointError: someone/tiny cannot be fetched")
    for alternative in ("HF_ENDPOINT", "HF_HUB_CACHE", "local folder", "backbone.use=minilm"):
        assert alternative in printed
