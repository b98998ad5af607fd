"""The plugins of the guide and of its examples: each works as it stands there, and a strict type checker finds nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / name for name in ("plugins.md", "plugin_examples.md")]

STRICT = """\
[mypy]
strict = True
follow_imports = silent

[mypy-matplotlib.*,onnx.*,pandas.*,pyarrow.*,torch.*,transformers.*]
follow_imports = skip

[mypy-ftkit_wordbag]
# Without the types of torch, which take minutes to read, these two say what is not so.
warn_unused_ignores = False
warn_return_any = False
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of the pages."""
    folder = tmp_path_factory.mktemp("guide")
    for page in PAGES:
        blocks = re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for name, code in blocks:
            assert not (folder / name).exists(), f"{name} is there twice"
            (folder / name).write_text(code)
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_the_plugins_of_the_pages_pass_their_tests_in_a_folder_of_their_own(written: Path) -> None:
    """Without the repository's conftest and settings."""
    tests = sorted(path.name for path in written.glob("test_*.py"))
    assert tests == ["test_recall.py", "test_sqlite.py", "test_tfidf.py", "test_wordbag.py"]
    settings = ("-c", os.devnull, "--rootdir", str(written), "-W", "error::pytest.PytestDeprecationWarning")
    result = run(written, "pytest", "-q", "-p", "no:cacheprovider", *settings, *tests, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def test_the_distribution_has_the_plugin_as_its_entry_point(written: Path) -> None:
    project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["ftkit"] == {"recall": "ftkit_recall"}


def test_a_strict_type_checker_finds_nothing_in_them(written: Path) -> None:
    pytest.importorskip("mypy")
    (written / "mypy.ini").write_text(STRICT)
    settings = ("--config-file", "mypy.ini", "--cache-dir", str(ROOT / ".mypy_cache" / "strict"))
    names = sorted(path.name for path in written.glob("*.py"))
    result = run(written, "mypy", *settings, *names, MYPYPATH=str(ROOT))
    assert result.returncode == 0, result.stdout + result.stderr
