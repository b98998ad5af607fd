"""Errors: exit codes, texts without secrets, and copies that come out of other processes."""

from __future__ import annotations

import copy
import importlib
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit.errors import ExitCode, FtkitError, HopelessError, Problem, RecipeError, in_one_line, message_of
from ftkit.options import Mistake, Mistakes

FOLDERS = [
    Path(ftkit.__file__).parent,
    *sorted((Path(ftkit.__file__).parent.parent / "plugins").glob("*/ftkit_*")),
]
"""The import packages of ftkit and of its plugins."""


def error_classes() -> Iterator[type[FtkitError]]:
    """Every class below FtkitError, wherever a module of ftkit or of its plugins defines it."""
    for folder in FOLDERS:
        for path in folder.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if re.search(r"^class \w+\([\w., ]*Error\):", text, re.MULTILINE):
                parts = path.relative_to(folder.parent).with_suffix("").parts
                importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    waiting: list[type[FtkitError]] = [FtkitError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("ftkit"):
            yield kind


def made(kind: type[FtkitError]) -> FtkitError:
    if issubclass(kind, RecipeError):
        return kind(
            [
                Problem("a.toml:3", "search.trials", "must be at least 1", "Raise it."),
                Problem("b", "", "what", plugin=True),
            ]
        )
    return kind("what happened", "where.toml:3", "Repair it.")


@pytest.mark.parametrize(
    "kind", sorted(set(error_classes()), key=lambda each: each.__name__), ids=lambda each: each.__name__
)
def test_an_error_is_the_same_after_it_went_to_another_process(kind: type[FtkitError]) -> None:
    error = made(kind)
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert again.exit_code == error.exit_code


def test_other_errors_of_ftkit_survive_pickling_too() -> None:
    mistakes = pickle.loads(pickle.dumps(Mistakes([Mistake(("epochs",), "too many", "Fewer."), Mistake((), "odd")])))
    assert mistakes.mistakes == [Mistake(("epochs",), "too many", "Fewer."), Mistake((), "odd")]
    assert str(mistakes) == "too many; odd"
    assert str(pickle.loads(pickle.dumps(HopelessError("the loss is no number")))) == "the loss is no number"


def test_a_recipe_that_only_lacks_plugins_has_their_exit_code() -> None:
    broken, wrong = Problem("a:1", "x", "set aside", plugin=True), Problem("a:2", "y", "wrong")
    assert RecipeError([broken, broken]).exit_code == ExitCode.PLUGIN
    assert RecipeError([broken, wrong]).exit_code == ExitCode.RECIPE
    assert "1 mistake in the recipe" in RecipeError([broken, wrong]).what


class Shy(Exception):
    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\nlines  "), "ValueError: two lines"),
        (ValueError(), "ValueError"),
        (Shy(), "Shy"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError("weights"), "KeyError: 'weights'"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (ValueError("api_key=abcdefgh12345678"), "ValueError: api_key=***"),
    ],
)
def test_any_exception_has_a_line(error: Any, line: str) -> None:
    assert in_one_line(error) == line


def test_a_huge_message_is_cut() -> None:
    assert len(in_one_line(ValueError("x" * 10**7))) < 330
    assert message_of(Shy()) == "Shy"


@pytest.mark.parametrize("text", ["x" * 70_000, "the label " + "y" * 1000 + " is odd", "many words " * 5000])
def test_an_error_quotes_no_endless_text(text: str) -> None:
    for error in (FtkitError(text, "where", text), RecipeError([Problem("a:1", text, text, text)])):
        assert len(str(error)) < 15_000
        assert not re.search(r"\S{300}", str(error))
