"""What is public stays as it is until somebody decides otherwise."""

from __future__ import annotations

import ast
import difflib
import importlib
import re
import textwrap
from pathlib import Path

from ftkit.reference.public_modules import BY_KIND, STEADY
from ftkit.reference.surface import public_names, surface
from ftkit.scaffold.kinds import templates

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "tests" / "public_surface.txt"


def test_a_change_of_the_public_surface_is_a_decision() -> None:
    before, now = KEPT.read_text(encoding="utf-8").splitlines(), surface().splitlines()
    changes = "\n".join(difflib.unified_diff(before, now, "kept", "now", lineterm="", n=1))
    assert not changes, (
        f"the public surface has changed:\n{changes}\n"
        "Plugins rely on it. If it is meant: let API in ftkit/_version.py rise once before the next release, and OLDEST_API as well where "
        "something went or needs more than before (then it was deprecated first, see ftkit/deprecations.py). Then renew the file:\n"
        "    python -m ftkit.reference.surface tests/public_surface.txt"
    )


def test_the_page_of_the_public_modules_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "public.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(ftkit[\w.]*)` \| (.*?) \|", page, re.MULTILINE)
    listed = {module: tuple(re.findall(r"`(\w+)`", names)) for module, names in rows}
    assert listed == {**STEADY, **BY_KIND}


def test_what_the_docs_and_the_templates_teach_is_public() -> None:
    public = {**STEADY, **BY_KIND}
    pages = "\n".join(
        (ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("plugins.md", "plugin_examples.md")
    )
    sources = re.findall(r"^```python\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    sources += [path.read_text(encoding="utf-8") for path in templates().rglob("*.py")]
    private = set()
    for source in sources:
        for node in ast.walk(ast.parse(textwrap.dedent(source))):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "ftkit":
                names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in public}
                if (listed := public.get(str(node.module))) is None or listed:
                    private |= {f"{node.module}.{name}" for name in names - {*(listed or ())}}
    assert private == set(), "list it in ftkit/reference/public_modules.py and docs/public.md, or teach something else"


def test_every_public_name_exists() -> None:
    for name, names in {**STEADY, **BY_KIND}.items():
        module = importlib.import_module(name)
        assert [each for each in public_names(module, names) if not hasattr(module, each)] == []


def test_the_surface_notices_a_field_a_default_and_a_parameter() -> None:
    lines = surface(
        {"ftkit.contracts.settings": ("Confirm",), "ftkit.evaluation.selection": ("best_trial",)}
    ).splitlines()
    assert "    seeds: int = 3" in lines
    assert "best_trial(trials: Sequence[Trial], metric: str) -> Trial" in lines
