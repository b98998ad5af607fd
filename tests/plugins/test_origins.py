"""Where plugins come from: what `ftkit plugins` shows and a promotion record names."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ftkit import plugins
from ftkit.plugins import origins

Place = Callable[..., EntryPoint]


def test_a_plugin_is_described_by_its_version_number_origin_and_what_it_brings(place: Place) -> None:
    origin = json.dumps({"url": "file:///home/me/my%20plugin", "dir_info": {"editable": True}})
    entry = place("acme-space", api="1", direct_url=origin)
    (described,) = origins.installed(plugins.collect([entry]))
    assert (described.name, described.version, described.api) == ("acme-space", "1.2", "1")
    assert described.origin == "/home/me/my plugin, editable"
    assert described.brings == {"search_spaces": (entry.module,)}


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("{}", "by its name"),
        ('{"url": "file:///d/acme-1-py3-none-any.whl", "archive_info": {}}', "/d/acme-1-py3-none-any.whl"),
        (
            '{"url": "https://me:hunter2secret@git.example/acme", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}',
            "https://me:***@git.example/acme at 0123456789ab",
        ),
        ("no json", "unknown"),
        ("[]", "unknown"),
    ],
)
def test_the_origin_is_what_the_installer_wrote_down_without_secrets(written: str, origin: str, place: Place) -> None:
    (described,) = origins.installed(plugins.collect([place("acme-space", direct_url=written)]))
    assert described.origin == origin


def test_the_hash_changes_with_a_file_and_not_with_what_python_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_hashed"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep" / "table.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = origins._hash("acme_hashed.deep")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert origins._hash("acme_hashed") == before
    (package / "deep" / "table.json").write_text("[]")
    changed = origins._hash("acme_hashed")
    (package / "deep" / "table.json").rename(package / "deep" / "other.json")
    assert len({before, changed, origins._hash("acme_hashed")}) == 3


def test_a_record_names_every_plugin_with_version_and_hash() -> None:
    named = origins.hashes(plugins.load())
    assert {each.plugin.partition(" ")[0] for each in plugins.load().offers} <= named.keys()
    assert {len(each["sha256"]) for each in named.values()} == {64}
    assert named["ftkit"]["version"]
