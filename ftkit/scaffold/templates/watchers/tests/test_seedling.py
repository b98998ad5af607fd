import logging
from dataclasses import replace
from types import ModuleType

import pytest
from ftkit.testing.watchers import WatcherSuite, sample_requests, sample_served

import ftkit_seedling


class TestSeedling(WatcherSuite):
    @pytest.fixture
    def component(self) -> ModuleType:
        return ftkit_seedling


def test_slow_requests_are_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ftkit_seedling.LIMIT, "1")
    (watcher,) = ftkit_seedling.watchers(sample_served())
    request = sample_requests()[0]
    with caplog.at_level(logging.INFO, logger=ftkit_seedling.__name__):
        watcher.tell(request)
        watcher.tell(replace(request, seconds=2.0))
        watcher.close()
    name = sample_served().deployment
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}: 1 texts took 2.0 s",
        f"{name}: 1 of 2 requests were slow",
    ]
