"""Characters that nobody sees."""

from __future__ import annotations

import pytest

from ftkit.data.characters import invisible
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, split


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Donau\u00addampf", "soft hyphen (U+00AD)"),
        ("fr\u200bee", "zero width space (U+200B)"),
        ("pay\u200cpal", "zero width non-joiner (U+200C)"),
        ("a \ufeffb", "byte order mark (U+FEFF)"),
        ("\u202egnp.exe", "right-to-left override (U+202E)"),
        ("caf\ufffd", "replacement character (U+FFFD)"),
    ],
)
def test_invisible_characters_are_named(text: str, name: str) -> None:
    seen = invisible(["plain", text, f"{text} {text}"])
    assert seen is not None
    assert (seen.texts, seen.total) == (2, 3)
    assert f"{name} in 2" in str(seen)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "naïve — “quoted” … 100\u00a0%",
        "👩\u200d👩\u200d👧🏽 ✌\ufe0f",
        "می\u200cخواهم",
        "क्\u200dष",
        "ភាសា\u200bខ្មែរ",
        "עברית \u200fAPI\u200f",
        "",
    ],
)
def test_characters_that_belong_to_how_a_language_is_written_do_not_count(text: str) -> None:
    assert invisible([text]) is None


def test_few_are_a_note_and_many_a_warning() -> None:
    for affected, warns in ((1, False), (10, True)):
        rows = Rows("rows.csv")
        for row in range(200):
            hyphen = "\u00ad" if row < affected else ""
            rows.add(f"text number {row} of them{hyphen}", ("bad", "good")[row % 2])
        report = split(rows, (), Rules(seed=7)).report
        assert any("soft hyphen" in text for text in (report.warnings if warns else report.notes))
        assert not any("soft hyphen" in text for text in (report.notes if warns else report.warnings))
