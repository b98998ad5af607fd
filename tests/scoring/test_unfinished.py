"""Notes about a scored file that is not complete: what nobody wrote is nothing to go on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftkit.scoring.unfinished import Unfinished, folder_of


def about(**changes: Any) -> dict[str, Any]:
    tally = {"rows": 3, "labels": {"good": 3}, "empty": 0, "damaged": 0, "lines": []}
    return {"facts": {"another model": "a"}, "engine": "native", "parts": ["000000000000"], "tally": tally, **changes}


def read(folder: Path, notes: Any) -> Unfinished:
    """What is gone on with, where a folder has these notes and one part."""
    unfinished = Unfinished(folder / "out.csv", {"another model": "a"})
    folder_of(folder / "out.csv").mkdir()
    (folder / "secret.csv").write_text("not a part")
    (folder_of(folder / "out.csv") / "000000000000").write_text("text,label\n")
    (folder_of(folder / "out.csv") / "about.json").write_text(notes if isinstance(notes, str) else json.dumps(notes))
    with unfinished.opened(anew=False):
        return unfinished


def test_a_part_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    assert read(tmp_path, about()).parts == ["000000000000"]


@pytest.mark.parametrize(
    "notes",
    [
        "{",
        "[]",
        "[" * 100_000,
        about(facts=[]),
        about(facts=None),
        about(parts="000000000000"),
        about(parts=["../secret.csv"]),
        about(parts=["/etc/passwd"]),
        about(parts=[3]),
        about(parts=["000000000009"]),
        about(tally={"rows": "3"}),
        about(tally=[3]),
    ],
)
def test_notes_that_nobody_wrote_are_begun_anew(tmp_path: Path, notes: Any) -> None:
    assert read(tmp_path, notes).parts == []
