"""JSON from outside is read whole, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftkit import strict_json


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + ("1" if opening.endswith(":") else "") + closing * levels


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": 1, "a": 1}', "'a' is there twice"),
        ('[{"b": {"a": 1, "\\u0061": 2}}]', "'a' is there twice"),
        (nested(strict_json.DEEPEST + 2), "nested too deeply"),
        (nested(strict_json.DEEPEST + 2, '{"a":', "}"), "nested too deeply"),
        (nested(100_000), "nested too deeply"),
        (nested(100_000)[:5000], "nested too deeply"),
        ("9" * 5000, "4300"),
        ('{"a":', "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        strict_json.parse(text)


@pytest.mark.parametrize("text", ["[]", "1", "null", '"text"', "NaN"])
def test_a_value_that_is_no_object_is_refused_where_one_is_asked_for(text: str) -> None:
    strict_json.parse(text)
    with pytest.raises(ValueError, match="no JSON object"):
        strict_json.parse_object(text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="utf-8"):
        strict_json.read_object(tmp_path / "file.json")


def test_what_is_sound_is_read_as_python_reads_it() -> None:
    assert strict_json.parse_object(b'{"a": [1, 2.5, null, {"b": "\\ud83d\\udc4d"}]}') == {
        "a": [1, 2.5, None, {"b": "👍"}]
    }
    assert strict_json.parse(nested(strict_json.DEEPEST)) is not None
