"""Connecting to MLflow: an early error when it is out of reach, no output on the terminal, and waiting for a locked file."""

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
"""Seconds that a server may take to answer the first request."""

BUSY_SECONDS = 120
"""Seconds to wait for a SQLite file that another process has locked."""

_SETTINGS = {
    # With MLflow's default of 7 it takes four minutes to report a server that is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_lock = threading.RLock()


@contextmanager
def opened(tracking_uri: str, registry_uri: str) -> Iterator[Any]:
    """A client of the tracking store and the registry for the duration of a block.

    In the block MLflow logs nothing and fails early; variables that the user has set take precedence.
    Raises: RegistryError for every failure of MLflow, the database or the network.
    """
    with _lock, _settings():
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
            # Database drivers and artifact stores raise errors of their own.
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
    """The result of a call, or None when the requested entity does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def unless_present(call: Callable[[], Any]) -> None:
    """Create an entity that another process may have created at the same moment."""
    from mlflow.exceptions import MlflowException

    try:
        call()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def pages(search: Callable[..., Any], **query: Any) -> list[Any]:
    """All results of a search, page by page."""
    results: list[Any] = []
    token = None
    while True:
        page = search(**query, page_token=token)
        results.extend(page)
        token = page.token
        if not token:
            return results


def download(source: str, folder: Path, tracking_uri: str, place: str) -> Path:
    """Copy artifacts to `folder`. Raises: RegistryError when they no longer exist."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    parent = folder.parent
    missing = RegistryError(
        "its artifacts are no longer in the store",
        where=f"{place}, {shown(source)}",
        hint="Restore them from a backup, or give the alias champion to a version that has its artifacts.",
    )
    if not holds(source.rsplit("/", 1)[0], {source.rsplit("/", 1)[1]}, tracking_uri):
        raise missing
    try:
        downloaded = Path(download_artifacts(artifact_uri=source, dst_path=str(parent), tracking_uri=tracking_uri))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise missing from error
        raise
    if downloaded != folder:
        downloaded.rename(folder)
    return folder


def holds(source: str, names: set[str], tracking_uri: str) -> bool:
    """Whether a folder of artifacts has entries of all these names."""
    from mlflow.artifacts import list_artifacts
    from mlflow.exceptions import MlflowException

    try:
        listed = list_artifacts(artifact_uri=source, tracking_uri=tracking_uri)
    except (MlflowException, FileNotFoundError):
        return False
    return names <= {each.path.rstrip("/").rsplit("/", 1)[-1] for each in listed}


class _WaitingClient:
    """A client whose calls wait while another process has the SQLite file locked."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(_call_when_unlocked, getattr(self._client, name))


def _call_when_unlocked(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Repeat a call while the file is locked: SQLite has rolled its transaction back, so nothing is written twice."""
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
    """One client for each pair of addresses; the first client of a new SQLite file creates its tables."""
    import filelock
    from mlflow import MlflowClient

    with ExitStack() as locks:
        # MLflow's own lock does not cover every step of creating the tables, so two runs could damage each other's.
        for file in sorted({file for uri in (tracking_uri, registry_uri) if (file := sqlite_file(uri))}):
            locks.enter_context(filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=BUSY_SECONDS))
        client = _WaitingClient(MlflowClient(tracking_uri, registry_uri))
        if urlsplit(tracking_uri).scheme not in ("http", "https", "databricks"):
            client.search_experiments(max_results=1)
        if urlsplit(registry_uri).scheme not in ("http", "https", "databricks"):
            client.search_registered_models(max_results=1)
        return client


def _reach(uri: str) -> None:
    """Report in seconds what MLflow's own retries would report in minutes. Raises: RegistryError, OSError."""
    import sqlite3

    if urlsplit(uri).scheme in ("http", "https"):
        _ping(uri)
    elif file := sqlite_file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
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
    """Check that an MLflow server answers and accepts the credentials. Raises: RegistryError."""
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
            f"the MLflow server rejects the credentials (HTTP {answer.status_code})",
            where=shown(uri),
            hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
    if "json" not in answer.headers.get("Content-Type", ""):
        raise RegistryError(
            f"the server at this address is not an MLflow server (HTTP {answer.status_code})",
            where=shown(uri),
            hint="Compare tracking_uri with the address of the server, including its path prefix.",
        )


@contextmanager
def _settings() -> Iterator[None]:
    """MLflow's settings for ftkit's own calls; variables that the user has set stay as they are."""
    if "DO_NOT_TRACK" not in os.environ:
        # Stays set after the block: mlflow reads it on import, and so do the processes that it starts.
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
    """Keep the log lines of MLflow and Alembic off the terminal, unless MLFLOW_LOGGING_LEVEL is set."""
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
