"""docs/tutorials/plugin.md, command by command, as somebody follows it who has ftkit from wheels."""

from __future__ import annotations

import re
import shlex
import zipfile
from pathlib import Path

import pytest

from ftkit.scaffold.kinds import templates
from tests.wheels import Installed

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "plugin.md"

OFFLINE = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
"""What the test adds to `pip install`: what the plugin needs is in the environment."""


def blocks(language: str) -> list[str]:
    """The pieces of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command(line: str) -> list[str]:
    """A line of the page as arguments of Python; the packages of the tools are found by the environment, their scripts are not."""
    program, *arguments = shlex.split(line)
    match program:
        case "python":
            return arguments
        case "pip":
            install, editable, folder = arguments  # a wheel is built: an editable one would need one more package
            assert (install, editable) == ("install", "--editable")
            return ["-m", "pip", "install", *OFFLINE, f"./{folder}"]
        case "pytest":
            return ["-m", "pytest", "-p", "no:cacheprovider", *arguments]
    assert program == "ftkit", line
    return ["-m", "ftkit", *arguments]


def test_the_page_from_its_first_command_to_its_last(elsewhere: Installed, tmp_path: Path) -> None:
    (script,) = blocks("python")
    name, code = script.removeprefix("# ").split("\n", 1)
    (tmp_path / name).write_text(code, encoding="utf-8")
    (sections,) = blocks("toml")
    recipe = tmp_path / "reviews.toml"
    answers = {}
    lines = [line for block in blocks("console") for line in block.splitlines()]
    for line in lines:
        if line == "ftkit check reviews.toml":
            written = recipe.read_text(encoding="utf-8")
            edited = re.sub(r"^\[backbone\]\n.*?(?=^\[\[promote\]\])", f"{sections}\n", written, flags=re.M | re.S)
            assert edited != written
            recipe.write_text(edited, encoding="utf-8")
        runs = [path.name for path in tmp_path.glob("home/runs/reviews-*")]
        arguments = [runs[0] if each == "RUN" else each for each in command(line)]
        ran = elsewhere.run(*arguments, at=tmp_path, timeout=600)
        assert ran.returncode == 0, f"{line}\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
        answers[line] = ran.stdout
    assert len(answers) == len(lines) == 10
    assert "smoothing" in answers["ftkit options word-counts"]
    assert " passed" in answers["pytest -q ftkit-word-counts/tests"]
    assert "reviews-" in answers["ftkit runs"]
    assert answers[lines[-1]].strip() == "bad"


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


@pytest.mark.parametrize("line", [line for block in blocks("console") for line in block.splitlines()])
def test_every_command_of_the_page_is_one_that_the_test_knows(line: str) -> None:
    assert command(line)
