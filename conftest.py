"""What every test of the repository shares: a home of its own, and the data that is not part of the project."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["tests.azure.fixtures", "tests.browser", "tests.wheels"]

_REQUIRED = {"FTKIT_REQUIRE_SHARED": "FTKIT_SHARED", "FTKIT_REQUIRE_SCORING": "FTKIT_SCORING_PYTHON"}
"""Variables that make a skip a failure, and what a skip's reason then names."""

_SHARED = Path(os.environ.get("FTKIT_SHARED") or Path(__file__).parent.parent / "shared")


def pytest_configure() -> None:
    """A shell that starts tests in its background has Ctrl-C ignored, by them and by all they start: heed it again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Tests may import ONNX Runtime before ftkit does: the hosts that it would tell of itself are foreign to every test.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's runs, endpoints or downloads."""
    home = tmp_path_factory.mktemp("home", numbered=True)
    monkeypatch.setenv("FTKIT_HOME", str(home / "data"))
    monkeypatch.setenv("FTKIT_CACHE", str(home / "cache"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """With FTKIT_REQUIRE_SHARED, a test that skips for want of the shared data has failed; so for all in `_REQUIRED`."""
    report = yield
    for required, reason in _REQUIRED.items():
        if report.skipped and os.environ.get(required) and reason in str(report.longrepr):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} skipped, and {required} asks for it: {report.longrepr[-1]}"
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data for tests, beside the checkout or where FTKIT_SHARED says; tests that need it skip without it."""
    if not (_SHARED / "data").is_dir():
        pytest.skip("needs the shared test data: set FTKIT_SHARED to its folder")
    return _SHARED
