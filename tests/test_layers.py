"""The core is built in layers: the table in docs/concepts.md lists every module, and imports only go up that list."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "ftkit"
FREE = {"__init__", "__main__"}
"""Modules of no layer: the package's name, and what starts it."""


def layers() -> dict[str, int]:
    """Each module of the core with the line of the table that lists it, the lowest first."""
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    lines = text.split("| modules |")[1].split("\n\n")[0].splitlines()[2:]
    names = [re.findall(r"`(\w+)/?`", line.split("|")[1]) for line in lines]
    return {name: number for number, found in enumerate(names) for name in found}


def imported(path: Path) -> Iterator[str]:
    """The core's modules that a file imports when it is itself imported: not for types, and not within a function."""
    waiting = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            waiting += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            waiting += [*node.body, *node.orelse, *node.finalbody]
        elif isinstance(node, ast.Import):
            yield from (each.name.split(".")[1] for each in node.names if each.name.startswith("ftkit."))
        elif isinstance(node, ast.ImportFrom) and node.module == "ftkit":
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ftkit."):
            yield str(node.module).split(".")[1]


def modules() -> dict[str, list[Path]]:
    """The core's modules and packages, with their files."""
    found = {path.stem: [path] for path in CORE.glob("*.py") if path.stem not in FREE}
    return found | {path.parent.name: sorted(path.parent.rglob("*.py")) for path in CORE.glob("*/__init__.py")}


def test_every_module_has_its_layer() -> None:
    assert sorted(layers()) == sorted(modules())


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_from_its_own_layer_and_those_below(module: str) -> None:
    order = layers()
    for path in modules()[module]:
        above = [name for name in imported(path) if name in order and order[name] > order[module]]
        assert not above, f"{path.relative_to(ROOT)} imports {above} from layers above its own"
