"""Reaching MLflow: quickly found out when it cannot be reached, silent on the terminal, patient with a busy file."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ftkit.errors import FtkitError, RegistryError
from ftkit_mlflow.addresses import shown, sqlite_file
from ftkit_mlflow.refusals import refusal

REACH_SECONDS = 10
"""How long a server may take to answer the first request of a verb."""

BUSY_SECONDS = 120
"""How long another run may keep a SQLite file to itself before this one gives up."""

_SETTINGS = {
    # MLflow's own default of 7 means four minutes before a server that went away is reported.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_one_at_a_time = threading.RLock()


@contextmanager
def opened(tracking_uri: str, registry_uri: str) -> Iterator[Any]:
    """A client of both stores, for the length of a block.

    Within the block MLflow is quiet and fails early; settings of the user's own environment win.
    Raises: RegistryError for whatever MLflow, the database or the network refuses.
    """
    with _one_at_a_time, _settings():
        try:
            import sqlite3

            import mlflow.exceptions
        except ImportError as error:
            raise RegistryError(
                f"mlflow cannot be imported: {error}", hint="pip install --force-reinstall mlflow"
            ) from error
        place = tracking_uri
        try:
            with _quiet():
                for place in dict.fromkeys((tracking_uri, registry_uri)):
                    _reach(place)
                yield _client(tracking_uri, registry_uri)
        except FtkitError:
            raise
        except (mlflow.exceptions.MlflowException, OSError, sqlite3.Error) as error:
            raise refusal(error, place) from error
        except Exception as error:
            # Drivers of databases and stores of artifacts raise trees of errors of their own.
            if type(error).__module__.split(".")[0] in (
                "sqlalchemy",
                "requests",
                "urllib3",
                "boto3",
                "botocore",
                "azure",
                "google",
            ):
                raise refusal(error, place) from error
            raise


def existing(call: Callable[[], Any]) -> Any | None:
    """What a call returns, or None where MLflow has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def unless_there(call: Callable[[], Any]) -> None:
    """Make something that another process may have made in the same moment."""
    from mlflow.exceptions import MlflowException

    try:
        call()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def pages(search: Callable[..., Any], **query: Any) -> list[Any]:
    """Everything a search of MLflow finds, page by page."""
    found: list[Any] = []
    token = None
    while True:
        page = search(**query, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def download(source: str, folder: Path, tracking_uri: str, place: str) -> Path:
    """Copy a folder of artifacts to `folder`. Raises: RegistryError when it is gone."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    parent = folder.parent
    gone = RegistryError(
        "its artifacts are gone from the store",
        where=f"{place}, {shown(source)}",
        hint="Restore them from a backup, or give the alias champion to a version whose artifacts are there.",
    )
    if not holds(source.rsplit("/", 1)[0], {source.rsplit("/", 1)[1]}, tracking_uri):
        raise gone
    try:
        found = Path(download_artifacts(artifact_uri=source, dst_path=str(parent), tracking_uri=tracking_uri))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise gone from error
        raise
    if found != folder:
        found.rename(folder)
    return folder


def holds(source: str, names: set[str], tracking_uri: str) -> bool:
    """Whether all these names are in a folder of artifacts."""
    from mlflow.artifacts import list_artifacts
    from mlflow.exceptions import MlflowException

    try:
        listed = list_artifacts(artifact_uri=source, tracking_uri=tracking_uri)
    except (MlflowException, FileNotFoundError):
        return False
    return names <= {each.path.rstrip("/").rsplit("/", 1)[-1] for each in listed}


class _Patient:
    """A client whose every call waits while another process writes the same SQLite file."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(_patiently, getattr(self._client, name))


def _patiently(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call, again and again while the file is locked: SQLite took the whole transaction back."""
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + BUSY_SECONDS
    pause = 0.05
    while True:
        try:
            return call(*arguments, **named)
        except MlflowException as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


@functools.cache
def _client(tracking_uri: str, registry_uri: str) -> Any:
    """One client for each pair of addresses; the first of a new SQLite file makes its tables."""
    import filelock
    from mlflow import MlflowClient

    with ExitStack() as held:
        # MLflow's own lock does not cover all that makes a new file, so that two runs would break each other.
        for file in sorted({found for uri in (tracking_uri, registry_uri) if (found := sqlite_file(uri))}):
            held.enter_context(filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=BUSY_SECONDS))
        client = _Patient(MlflowClient(tracking_uri, registry_uri))
        if urlsplit(tracking_uri).scheme not in ("http", "https", "databricks"):
            client.search_experiments(max_results=1)
        if urlsplit(registry_uri).scheme not in ("http", "https", "databricks"):
            client.search_registered_models(max_results=1)
        return client


def _reach(uri: str) -> None:
    """Find out in seconds what MLflow's own retries would find out in minutes. Raises: RegistryError, OSError."""
    import sqlite3

    if urlsplit(uri).scheme in ("http", "https"):
        _ping(uri)
    elif file := sqlite_file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        connected = sqlite3.connect(file, timeout=BUSY_SECONDS)
        try:
            connected.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connected.close()
    elif urlsplit(uri).scheme.split("+")[0] in ("postgresql", "mysql", "mssql"):
        import sqlalchemy

        try:
            sqlalchemy.create_engine(uri).connect().close()
        except ModuleNotFoundError as error:
            raise RegistryError(
                f"the database needs a driver that is not installed: {error.name}",
                where=shown(uri),
                hint=f"pip install {error.name}, or name another driver in tracking_uri (postgresql+psycopg://…).",
            ) from error


def _ping(uri: str) -> None:
    """Any answer will do: one of the server's own, or that of a gate which asks for a password."""
    from mlflow.tracking._tracking_service.utils import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(
        get_default_host_creds(uri),
        "/api/2.0/mlflow/experiments/get-by-name",
        "GET",
        params={"experiment_name": "Default"},
        max_retries=0,
        timeout=REACH_SECONDS,
        raise_on_status=False,
    )
    if answer.status_code in (401, 403):
        raise RegistryError(
            f"the MLflow server does not let you in (HTTP {answer.status_code})",
            where=shown(uri),
            hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
    if "json" not in answer.headers.get("Content-Type", ""):
        raise RegistryError(
            f"what answers there is no MLflow server (HTTP {answer.status_code})",
            where=shown(uri),
            hint="Compare tracking_uri with the address of the server; a path prefix belongs to it.",
        )


@contextmanager
def _settings() -> Iterator[None]:
    """Settings for our calls alone; what the user has set stays."""
    if "DO_NOT_TRACK" not in os.environ:
        # Read when mlflow is imported, and by processes it starts: this one outlasts the block.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    added = [name for name in _SETTINGS if name not in os.environ]
    os.environ.update({name: _SETTINGS[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's and Alembic's log lines off the terminal, unless the user asked MLflow for them."""
    if os.environ.get("MLFLOW_LOGGING_LEVEL"):
        yield
        return
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3.connectionpool")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
