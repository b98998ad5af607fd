"""`ftkit zoo` lists the installed backbones that fit a need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from ftkit import plugins
from ftkit.cli import main
from ftkit.contracts import Description
from ftkit.testing.toys import ToyWords


def backbone(called: str, facts: Description | None) -> type[Any]:
    declared = (
        {} if facts is None else {"description": facts, "__annotations__": {"description": ClassVar[Description]}}
    )
    made = type(
        called, (ToyWords,), {"__doc__": f"What {called} is for.", "__module__": __name__, "name": called, **declared}
    )
    return dataclass(frozen=True, kw_only=True)(made)


BACKBONES = [
    backbone("english", Description("BERT", 110_000_000, ("en",), "mit", 512)),
    backbone("many", Description("XLM-R", 278_000_000, ("de", "en", "fr", "ru", "zh"), "apache-2.0", 8192)),
    backbone("equation", Description("linear", None, ("any",), "", None)),
    backbone("silent", None),
]


@pytest.fixture(autouse=True)
def _zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit import hookimpl

    def backbones() -> list[type[Any]]:
        return BACKBONES

    installed = plugins.collect([], {"zoo": SimpleNamespace(backbones=hookimpl(backbones))})
    monkeypatch.setattr(plugins, "load", lambda: installed)


def names(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["zoo", "--json", *arguments]) == 0
    return [each["name"] for each in json.loads(capsys.readouterr().out)]


def test_all_backbones_are_listed_the_smallest_first_and_those_that_say_nothing_last(capsys):
    assert names(capsys) == ["equation", "english", "many", "silent"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--language", "de"], ["equation", "many"]),
        (["--language", "EN", "--max-parameters", "150e6"], ["equation", "english"]),
        (["--licence", "MIT"], ["equation", "english"]),
        (["--licence", "mit", "--licence", "apache-2.0"], ["equation", "english", "many"]),
        (["--max-parameters", "278e6"], ["equation", "english", "many"]),
    ],
)
def test_only_those_that_fit_are_listed(arguments, expected, capsys):
    assert names(capsys, *arguments) == expected


def test_the_table_has_a_line_for_each(capsys):
    assert main(["zoo"]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["name", "parameters", "languages", "licence", "tokens", "family"],
        ["equation", "none", "any", "none", "any", "linear"],
        ["english", "110 million", "en", "mit", "512", "BERT"],
        ["many", "278 million", "5", "apache-2.0", "8,192", "XLM-R"],
        ["silent"],
    ]


def test_where_none_fits_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(plugins, "load", lambda: plugins.collect([], {}))
    assert main(["zoo", "--language", "sw"]) == 0
    assert "No installed backbone fits" in capsys.readouterr().out
