"""The line of every key of a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from ftkit.recipe.toml_lines import line_numbers

RECIPE = '''\
name = "a # b"   # comment

[dataset]
use = "table"
text = """
two
lines"""
stars = { low = [1, 2], "hi gh" = [4,
  5] }
[search]
space.learning_rate = [
    1e-5,  # first

    2e-5,
]
space.epochs = { low = 2, high = 4 }
"quoted.key" = 'it''
[[promote]]
use = "one"
[[promote]]
use = "two"
[promote.inner]
deep = true
'''.replace("'it''", "'it'")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 1),
        (("dataset",), 3),
        (("dataset", "text"), 5),
        (("dataset", "stars", "low", 1), 8),
        (("dataset", "stars", "hi gh", 1), 9),
        (("search", "space"), 11),
        (("search", "space", "learning_rate", 0), 12),
        (("search", "space", "learning_rate", 1), 14),
        (("search", "space", "epochs", "high"), 16),
        (("search", "quoted.key"), 17),
        (("promote", 0, "use"), 19),
        (("promote", 1), 20),
        (("promote", 1, "inner", "deep"), 23),
    ],
)
def test_every_key_has_the_number_of_its_line(key: tuple[Any, ...], line: int) -> None:
    assert line_numbers(RECIPE)[key] == line


def test_windows_line_ends_do_not_shift_lines() -> None:
    assert line_numbers("a = 1\r\n\r\n[b]\r\nc = 2\r\n")["b", "c"] == 4


def test_an_empty_text_has_no_line_numbers() -> None:
    assert line_numbers("") == {}
    assert line_numbers("# only a comment") == {}


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
_VALUES: Any = st.recursive(
    st.integers(-5, 5) | st.booleans() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    paths = {path} if path else set()
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        paths |= _paths(item, (*path, key))
    return paths


@given(st.dictionaries(_KEYS, _VALUES, max_size=4), st.booleans())
def test_every_key_of_any_document_has_an_existing_line(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert tomllib.loads(text) == document
    numbers = line_numbers(text)
    assert _paths(document) <= set(numbers)
    assert all(1 <= number <= text.count("\n") + 1 for number in numbers.values())
