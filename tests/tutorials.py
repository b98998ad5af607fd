"""Tutorials followed from their first block to their last, as somebody does who copies them.

A page is a list of blocks, and each language means one thing:

python    a file, named by the comment in its first line
toml      sections that take the place of those of the same names in the recipe
console   commands, one a line
text      what the last command has printed, lines or parts of lines in this order, `…` for anything; with `error:`, the command fails
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]
"""Runs Python with these arguments in the folder of the tutorial."""

OFFLINE = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
"""What the tests add to `pip install`: what a plugin needs is in the environment."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and the text of every block of a page; blocks of other languages are for people."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        if language in ("python", "toml", "console", "text"):
            yield language, text


def commands(page: Path) -> list[str]:
    """Every command of a page."""
    return [line for language, text in blocks(page) if language == "console" for line in text.splitlines()]


def arguments(line: str) -> list[str]:
    """A command as arguments of Python; the packages of the tools are found by the environment, their scripts are not."""
    program, *rest = shlex.split(line, comments=True)
    match program:
        case "python":
            return rest
        case "pip":
            install, editable, folder = rest  # a wheel is built: an editable one would need one more package
            assert (install, editable) == ("install", "--editable")
            return ["-m", "pip", "install", *OFFLINE, f"./{folder}"]
        case "pytest":
            return ["-m", "pytest", "-p", "no:cacheprovider", *rest]
    assert program == "ftkit", line
    return ["-m", "ftkit", *rest]


def edited(recipe: str, sections: str) -> str:
    """A recipe with these sections in the place of those of the same names."""
    names = re.findall(r"^\[(\w+)\]", sections, re.M)
    parts = re.split(r"^(?=\[)", recipe, flags=re.M)
    ours = [place for place, part in enumerate(parts) if part.startswith(tuple(f"[{name}]" for name in names))]
    place = ours[0] if ours else len(parts)
    kept = ["".join(part for at, part in enumerate(parts[:place]) if at not in ours)]
    return "".join([*kept, sections, "\n", *(part for at, part in enumerate(parts) if at > place and at not in ours)])


def follow(
    page: Path, folder: Path, run: Run, recipe: str, placeholders: Mapping[str, Callable[[], str]]
) -> dict[str, str]:
    """What every command of the page has printed. A placeholder such as RUN stands for what its function returns then."""
    printed: dict[str, str] = {}
    steps = [*blocks(page)]
    for place, (language, text) in enumerate(steps):
        if language == "python":
            name, code = text.removeprefix("# ").split("\n", 1)
            (folder / name).write_text(code, encoding="utf-8")
        elif language == "toml":
            before = (folder / recipe).read_text(encoding="utf-8") if (folder / recipe).exists() else ""
            after = edited(before, text)
            assert after != before, f"the recipe has these sections already:\n{text}"
            (folder / recipe).write_text(after, encoding="utf-8")
        elif language == "console":
            shown = steps[place + 1][1] if place + 1 < len(steps) and steps[place + 1][0] == "text" else ""
            lines = text.splitlines()
            for line in lines:
                words = [placeholders[word]() if word in placeholders else word for word in arguments(line)]
                ran = run(words)
                failing = line is lines[-1] and "error:" in shown
                assert (ran.returncode != 0) == failing, f"{line}\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
                printed[line] = ran.stdout + ran.stderr
            assert_shown(shown, printed[lines[-1]])
    return printed


def assert_shown(shown: str, printed: str) -> None:
    """What a page shows of an output must be in it, in this order."""
    place = 0
    for part in re.split(r"\s*(?:…|\n)\s*", shown.strip()):
        at = printed.find(part, place)
        assert at >= 0, f"the page shows {part!r}, and the command prints\n{printed}"
        place = at + len(part)
