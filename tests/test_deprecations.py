"""Deprecations: they warn by a class of their own, are listed in the docs, and go after two minor releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftkit import deprecations
from ftkit._version import __version__
from ftkit.deprecations import DEPRECATED, Deprecation, warn
from ftkit.errors import FtkitDeprecation

PUBLIC = Path(__file__).parent.parent / "docs" / "public.md"


def test_a_warning_says_since_when_until_when_and_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Deprecation("ftkit.contracts.Old", "0.9", "Write ftkit.contracts.New.")
    monkeypatch.setattr(deprecations, "DEPRECATED", (old,))

    def used() -> None:
        warn("ftkit.contracts.Old")

    with pytest.warns(FtkitDeprecation) as warned:
        used()
    assert str(warned[0].message) == (
        "ftkit.contracts.Old is deprecated since ftkit 0.9 and will be removed in 0.11. Write ftkit.contracts.New."
    )
    assert warned[0].filename == __file__
    assert issubclass(FtkitDeprecation, DeprecationWarning), "Python and pytest treat it as they do deprecations"


def test_what_is_deprecated_is_listed_and_not_overdue() -> None:
    page = PUBLIC.read_text(encoding="utf-8")
    now = tuple(map(int, __version__.split(".")[:2]))
    assert [each.name for each in DEPRECATED if f"`{each.name}`" not in page] == [], "list it in docs/public.md"
    overdue = [each.name for each in DEPRECATED if now >= tuple(map(int, each.removed_in.split(".")))]
    assert overdue == [], "it has warned for two minor releases: remove it"
