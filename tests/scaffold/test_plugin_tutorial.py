"""docs/tutorials/plugin.md, command by command, as somebody follows it who has ftkit from wheels."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from ftkit.scaffold.kinds import templates
from tests import tutorials
from tests.wheels import Installed

PAGE = tutorials.DOCS / "tutorials" / "plugin.md"


def test_the_page_from_its_first_command_to_its_last(elsewhere: Installed, tmp_path: Path) -> None:
    def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return elsewhere.run(*arguments, at=tmp_path, timeout=600)

    latest = {"RUN": lambda: next(tmp_path.glob("home/runs/reviews-*")).name}
    printed = tutorials.follow(PAGE, tmp_path, run, "reviews.toml", latest)
    assert len(printed) == len(tutorials.commands(PAGE)) == 10
    assert "smoothing" in printed["ftkit options word-counts"]
    assert " passed" in printed["pytest -q ftkit-word-counts/tests"]
    assert "reviews-" in printed["ftkit runs"]
    assert [*printed.values()][-1].strip() == "bad"


def test_a_wheel_of_ftkit_brings_all_templates(wheels: Path) -> None:
    (wheel,) = wheels.glob("ftkit-*.whl")
    root = templates()
    expected = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        names = [name.partition("ftkit/scaffold/templates/")[2] for name in archive.namelist()]
    expected = {each for each in expected if "__pycache__" not in each and "_cache/" not in each}
    assert {name for name in names if name} == expected


def test_the_page_names_every_file_of_the_plugin(tmp_path: Path) -> None:
    from ftkit.scaffold import plugin

    _, folder = plugin.write("backbone", "word-counts", tmp_path / "plugin")
    page = PAGE.read_text(encoding="utf-8")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert [each for each in names if f"`{each}`" not in page and not each.endswith("py.typed")] == []
