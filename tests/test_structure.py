"""No circle of imports, and no package that imports from one above it: the table in docs/concepts.md is the order.

Every import counts: those for types alone and those inside functions as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ftkit.scaffold.kinds import templates

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = {
    "ftkit": ROOT / "ftkit",
    **{folder.name: folder for folder in sorted((ROOT / "plugins").glob("*/ftkit_*")) if folder.is_dir()},
}
"""The import packages of the repository: the core, and those of the plugins."""

UNPLACED = {"__init__", "__main__"}
"""Modules above every row: what `import ftkit` offers, and what `python -m ftkit` starts."""

LONGEST = 300
"""Lines of a module: a longer one is two rooms."""


def module_name(path: Path, package: Path) -> str:
    """The dotted name of a module's file; a package is called by its own name."""
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package: Path) -> dict[str, Path]:
    """Every module below a package, by its dotted name; templates of plugins are none."""
    paths = sorted(path for path in package.rglob("*.py") if templates() not in path.parents)
    return {module_name(path, package): path for path in paths}


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Which of the known modules a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not used"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in known:
                    yield submodule
                elif node.module in known:
                    yield str(node.module)


def imports(package: Path) -> dict[str, set[str]]:
    """The modules of a package, each with those of the same package that it imports."""
    known = modules(package)
    return {name: set(imported(path, known)) - {name} for name, path in known.items()}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a loop. Source: Tarjan 1972, strongly connected components."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], index[other])
        if lowest[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return groups


def rows() -> dict[str, int]:
    """Each package and top-level module of the core with its row of the table, the lowest first."""
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    table = text.split("| rooms |")[1].split("\n\n")[0].splitlines()[2:]
    return {name: number for number, line in enumerate(table) for name in re.findall(r"`(\w+)/?`", line.split("|")[1])}


def room(module: str) -> str:
    """The package of the core, or the top-level module, that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from house import two\n")
    (package / "two.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.three import x\n"
    )
    (package / "three.py").write_text("x = 1\ndef later():\n    import house.one\n")
    (package / "four.py").write_text("from house.three import x\n")
    assert circles(imports(package)) == [["house.one", "house.three", "house.two"]]


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_no_modules_import_each_other_in_a_circle(distribution: str) -> None:
    assert circles(imports(DISTRIBUTIONS[distribution])) == []


def test_every_room_of_the_core_is_in_the_table() -> None:
    assert sorted(rows()) == sorted({room(name) for name in modules(DISTRIBUTIONS["ftkit"])} - UNPLACED)


def test_no_room_imports_from_one_above_it() -> None:
    order = rows()
    upwards = [
        f"{name} imports {other}"
        for name, others in imports(DISTRIBUTIONS["ftkit"]).items()
        for other in others
        if room(name) in order and order.get(room(other), len(order)) > order[room(name)]
    ]
    assert not upwards


def test_the_packages_of_the_encoders_import_in_one_direction() -> None:
    order = {f"ftkit.encoders.{name}": number for number, name in enumerate(("inference", "training", "export"))}

    def number(module: str) -> int | None:
        return order.get(".".join(module.split(".")[:3]))

    upwards = [
        f"{name} imports {other}"
        for name, others in imports(DISTRIBUTIONS["ftkit"]).items()
        for other in others
        if (own := number(name)) is not None and (their := number(other)) is not None and their > own
    ]
    assert not upwards


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_no_module_is_two_rooms(distribution: str) -> None:
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in modules(DISTRIBUTIONS[distribution]).items()
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for folder in ("tests", "plugins") for path in (ROOT / folder).rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("page", ["docs/tour.md", "docs/concepts.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:ftkit|plugins|tests|docs|recipes|benchmarks)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
