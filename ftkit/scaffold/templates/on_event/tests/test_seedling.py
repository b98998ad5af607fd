import json
from pathlib import Path
from types import ModuleType

import pytest
from ftkit.testing.observers import ObserverSuite, sample_run

import ftkit_seedling


class TestSeedling(ObserverSuite):
    @pytest.fixture
    def component(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        monkeypatch.setenv(ftkit_seedling.FILE, str(tmp_path / "events.jsonl"))
        return ftkit_seedling


def test_every_event_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ftkit_seedling.FILE, str(tmp_path / "events.jsonl"))
    for event in sample_run():
        ftkit_seedling.on_event(event)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["RunStarted", "RunFinished"]
    assert events[-1]["promoted"] is True


def test_nothing_is_written_unless_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ftkit_seedling.FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    ftkit_seedling.on_event(sample_run()[0])
    assert not [*tmp_path.iterdir()]
