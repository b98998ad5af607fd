"""Errors of the registry when MLflow fails: raised within seconds, and with a hint."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ftkit_mlflow import MLflow, addresses, connection, refusals

from ftkit.errors import RegistryError
from ftkit.testing.registries import make_lineage


def refusal(uri: str) -> RegistryError:
    """The error that `champion` raises, within seconds."""
    begun = time.monotonic()
    with pytest.raises(RegistryError) as refused:
        MLflow(model="reviews", tracking_uri=uri).champion()
    assert time.monotonic() - begun < 30
    assert refused.value.hint
    return refused.value


@pytest.fixture
def database(shared: str, tmp_path: Path) -> Path:
    """A copy of a working registry for a test to damage."""
    MLflow(model="reviews", tracking_uri=shared).champion()
    return Path(shutil.copy(addresses.sqlite_file(shared) or "", tmp_path / "copy.db"))


def test_a_server_that_does_not_run(capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: no other process can take it, and nothing answers
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = refusal(uri)
    assert "cannot be reached: " in error.what
    assert "refused" in error.what
    assert error.where == uri
    assert "mlflow server" in error.hint
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers(monkeypatch):
    monkeypatch.setattr(connection, "REACH_SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert "cannot be reached: " in refusal(f"http://127.0.0.1:{listener.getsockname()[1]}").what


def test_a_host_that_does_not_exist():
    assert "cannot be reached" in refusal("http://no-such-host.invalid:5000").what


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, "text/plain", "rejects the credentials (HTTP 401)"),
        (403, "application/json", "rejects the credentials (HTTP 403)"),
        (404, "text/html", "is not an MLflow server (HTTP 404)"),
        (200, "text/html", "is not an MLflow server (HTTP 200)"),
    ],
)
def test_a_server_that_is_not_mlflow_or_rejects_the_credentials(status, kind, message):
    with web(status, kind) as uri:
        assert message in refusal(uri).what


def test_a_file_that_is_not_a_database(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"these are not the tables you are looking for" * 100)
    error = refusal(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert "the database is damaged" in error.what
    assert str(tmp_path / "mlflow.db") in error.hint


def test_a_database_whose_middle_is_overwritten(database):
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\0" * (len(content) - 4096))
    assert "the database is damaged" in refusal(f"sqlite:///{database}").what


@pytest.mark.parametrize(
    ("revision", "message", "hint"),
    [
        ("ffffffffffff", "made by a newer MLflow", "pip install --upgrade mlflow"),
        ("451aebb31d03", "made by an older MLflow", "mlflow db upgrade sqlite:///"),
    ],
)
def test_a_database_of_another_mlflow(database, revision, message, hint):
    with sqlite3.connect(database) as opened:
        opened.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    opened.close()
    error = refusal(f"sqlite:///{database}")
    assert message in error.what
    assert hint in error.hint


def test_a_folder_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert refusal(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}").where


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_database(database, shared):
    database.chmod(0o400)
    database.parent.chmod(0o500)
    try:
        error = refusal(f"sqlite:///{database}")
    finally:
        database.parent.chmod(0o700)
    assert "cannot be opened for writing" in error.what


def test_a_database_without_its_driver():
    error = refusal("postgresql+pg8000://127.0.0.1/mlflow")
    assert "pg8000" in error.what
    assert "pip install" in error.hint


def test_an_mlflow_that_does_not_import(monkeypatch, shared):
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    error = refusal(shared)
    assert "mlflow cannot be imported" in error.what


def test_an_experiment_that_was_deleted(shared, model, bundle):
    from mlflow import MlflowClient

    client = MlflowClient(shared)
    number = client.create_experiment(model)
    client.delete_experiment(number)
    with pytest.raises(RegistryError, match="was deleted") as refused:
        MLflow(model=model, tracking_uri=shared).track(make_lineage(bundle))
    assert f"restore -x {number}" in refused.value.hint


def test_a_full_disk_is_an_error_and_a_later_attempt_succeeds(tmp_path, database, bundle):
    script = (
        "import resource, signal, sys; from ftkit.bundle import bundle; from ftkit_mlflow import MLflow;"
        "from ftkit.testing.registries import make_lineage;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); limit = int(sys.argv[3]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit));"
        "big = bundle.verify(sys.argv[1]);"
        "MLflow(model='reviews', tracking_uri=sys.argv[2]).register(big.folder, make_lineage(big))"
    )
    from ftkit.testing.bundles import toy_bundle

    big = toy_bundle(bundle.folder.with_name("big"), beside={"vocabulary.txt": "word\n" * 1_000_000})
    uri = f"sqlite:///{database}"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(big.folder), uri, "4000000"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode != 0
    assert "RegistryError" in ended.stderr
    registry = MLflow(model="reviews", tracking_uri=uri)
    assert list(registry.versions()) == []
    assert registry.register(big.folder, make_lineage(big)).version == "1"
    assert registry.fetch("1", tmp_path / "fetched")


@pytest.mark.parametrize("text", ["[Errno 28] No space left on device", "database or disk is full"])
def test_a_full_disk_is_recognised_by_the_text_of_the_error(text):
    error = refusals.refusal(OSError(text), "sqlite:////data/mlflow.db")
    assert "the disk is full" in error.what
    assert "FTKIT_HOME" in error.hint


def test_an_address_is_shown_without_its_password():
    assert addresses.shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert addresses.shown("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"


@contextmanager
def web(status: int, kind: str) -> Iterator[str]:
    """A web server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
