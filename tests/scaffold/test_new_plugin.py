"""`ftkit new plugin`: every kind passes its own tests, the linter and the strict type checker as it comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import ftkit
from ftkit import cli, hookspecs, options, plugins
from ftkit.commands.new import new
from ftkit.errors import UsageError
from ftkit.scaffold import names, plugin
from ftkit.scaffold.kinds import ENGINES, kinds, templates
from ftkit.scaffold.written import write_folder

ROOT = Path(__file__).parents[2]
KINDS = sorted(kinds())
SERVING = ("deployer", "platform")
"""Kinds whose tests start processes, and take as long as all others together."""

STRICT = """\
[mypy]
strict = True
follow_imports = silent

[mypy-matplotlib.*,onnx.*,pandas.*,pyarrow.*,torch.*,transformers.*]
follow_imports = skip
"""
"""What the plugins' own pyproject.toml says, without the types of packages that take minutes to read."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A plugin of every kind, by its kind."""
    folder = tmp_path_factory.mktemp("plugins")
    return {kind: plugin.write(kind, f"my-{kind}", folder / kind)[1] for kind in KINDS}


@pytest.fixture(scope="module")
def installed(generated: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Python finds all of them as if pip had installed them."""
    site = tmp_path_factory.mktemp("site")
    for kind, folder in generated.items():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (package,) = folder.glob("ftkit_*")
        (site / package.name).symlink_to(package)
        info = site / f"{package.name}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
        points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["ftkit"].items())
        (info / "entry_points.txt").write_text(f"[ftkit]\n{points}")
        assert kind in project["name"]
    return site


def python(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A process of Python that finds these plugins."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "MYPYPATH": f"{site}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def passed(site: Path, folders: Sequence[Path]) -> str:
    """What pytest says at the end of the tests of these plugins, which must pass."""
    arguments = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", os.devnull, "--rootdir"]
    process = python(site, "-m", "pytest", *arguments, str(site), *(f"{each}/tests" for each in folders), cwd=site)
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]
    return process.stdout.splitlines()[-1]


# ------------------------------------------------------------------------------------------- kinds


def test_every_hook_is_a_kind_with_templates() -> None:
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "ftkit_spec")]
    assert sorted(kinds().values()) == sorted([*hooks, ENGINES])
    for name in kinds().values():
        folder = templates() / name
        assert (folder / "ftkit_seedling" / "__init__.py").is_file()
        assert (folder / "tests" / "test_seedling.py").is_file()
        assert (folder / plugin.USE).is_file()


def test_the_help_names_every_kind() -> None:
    help_text = " ".join((new.commands["plugin"].help or "").split())
    assert [kind for kind in KINDS if not re.search(rf"\b{kind}[,. ]", help_text)] == []


# -------------------------------------------------------------------------------- as they come out


def test_the_tests_of_the_quick_kinds_pass(generated: Mapping[str, Path], installed: Path) -> None:
    last = passed(installed, [folder for kind, folder in generated.items() if kind not in SERVING])
    assert int(last.split()[0]) > 100, last


@pytest.mark.parametrize("kind", SERVING)
def test_the_tests_of_a_kind_with_processes_pass(generated: Mapping[str, Path], installed: Path, kind: str) -> None:
    last = passed(installed, [generated[kind]])
    assert int(last.split()[0]) >= 10, last


@pytest.mark.parametrize("name", ["", "q", "q" * names.LONGEST])
def test_the_linter_and_the_formatter_have_nothing_to_say(
    generated: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    folders = generated if not name else {kind: plugin.write(kind, name, tmp_path / kind)[1] for kind in KINDS}
    for arguments in (["check"], ["format", "--check"]):
        process = subprocess.run(
            [str(Path(sys.executable).with_name("ruff")), *arguments, "--no-cache", *map(str, folders.values())],
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout


def test_the_strict_type_checker_has_nothing_to_say(
    generated: Mapping[str, Path], installed: Path, tmp_path: Path
) -> None:
    for folder in generated.values():
        assert tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mypy"] == {"strict": True}
    (tmp_path / "mypy.ini").write_text(STRICT)
    cache = ROOT / ".mypy_cache" / "strict"  # that of the guide's plugins: most of the time goes to ftkit itself
    arguments = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(cache)]
    paths = [str(path) for folder in generated.values() for path in (*folder.glob("ftkit_*"), folder / "tests")]
    process = python(installed, "-m", "mypy", *arguments, *paths, cwd=tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr


def test_every_component_has_an_option_of_each_type(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    loaded = plugins.collect(entry for entry in plugins.entry_points(group="ftkit") if entry.name.startswith("my-"))
    assert not loaded.broken
    assert not loaded.examined().broken
    offered = {each.name: each for each in loaded.offers}
    for kind in KINDS:
        if kind in ("observer", "watcher"):  # no recipe sets them up
            continue
        described = options.options(offered[f"my-{kind}"].component)
        assert all(each.doc for each in described)
        types = [each.type for each in described]
        missing = {"text", "whole number", "number", "true or false"} - {*types}
        missing |= {
            start for start in ('"', "list of ", "table of ") if not any(each.startswith(start) for each in types)
        }
        assert not missing, f"{kind} has no option of the types {missing}"
    assert sum("path" in [each.type for each in options.options(each.component)] for each in loaded.offers) >= 5


def test_what_else_a_plugin_has(generated: Mapping[str, Path]) -> None:
    version = ftkit.__version__
    for kind, folder in generated.items():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert re.fullmatch(rf"ftkit(\[\w+\])?>={re.escape(version)}", project["dependencies"][0])
        assert project["description"].startswith(("A ", "An "))
        assert (folder / project["readme"]).read_text().startswith(f"# ftkit-my-{kind}\n\n{project['description']}\n")
        assert "MIT" in (folder / "LICENSE").read_text()
        assert "## 0.1.0" in (folder / "CHANGELOG.md").read_text()
        (package,) = folder.glob("ftkit_*")
        assert (package / "py.typed").is_file()
        workflow = yaml.safe_load((folder / ".github" / "workflows" / "ci.yml").read_text())
        matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
        assert matrix == {"python": ["3.11", "3.12"], "ftkit": [f"ftkit=={version}", "ftkit"]}
        text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        assert "seedling" not in text.lower()


def test_a_name_that_has_the_word_of_the_templates_is_written_once(tmp_path: Path) -> None:
    _, folder = plugin.write("watcher", "seedling-ftkit-seedling", tmp_path / "plugin")
    assert [path.name for path in folder.glob("ftkit_*")] == ["ftkit_seedling_ftkit_seedling"]


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("backbon", "words", "no kind of plugin 'backbon'"),
        ("backbone", "Words", "no name for a plugin"),
        ("backbone", "7words", "no name for a plugin"),
        ("backbone", "word counts", "no name for a plugin"),
        ("backbone", "../words", "no name for a plugin"),
        ("backbone", "a" * 31, "no name for a plugin"),
        ("backbone", "none", "cannot be used"),
        ("dataset", "data", "cannot be used"),
        ("observer", "exception", "cannot be used"),
        ("watcher", "module-type", "cannot be used"),
        ("backbone", "linear", "taken by ftkit-linear"),
        ("promotion-preset", "calibration", "taken by ftkit-strict"),
        ("watcher", "mlflow", "taken by"),
        ("observer", "zoo", "taken by ftkit-zoo"),
    ],
)
def test_names_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=what) as refused:
        plugin.write(kind, name)
    assert refused.value.hint
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        plugin.write("watcher", "slow", tmp_path)
    with pytest.raises(UsageError, match="this is a file"):
        plugin.write("watcher", "slow", tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    plugin.write("watcher", "slow", tmp_path)
    assert tmp_path.stat().st_ino == before
    assert (tmp_path / "ftkit_slow" / "__init__.py").is_file()
    assert not (tmp_path / ".unfinished").exists()


@pytest.mark.parametrize("there", [True, False])
def test_what_breaks_off_leaves_nothing_behind(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "plugin").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_folder(tmp_path / "plugin", {"a.txt": "a", "a.txt/b.txt": "no folder"})
    assert [path.name for path in tmp_path.rglob("*")] == ["plugin"] * there


def test_the_command_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.commands, ["new", "plugin", "search-space", "ftkit-few-rates"])
    assert result.exit_code == 0, result.output
    assert "cd ftkit-few-rates\n" in result.output
    assert (tmp_path / "ftkit-few-rates" / "ftkit_few_rates" / "__init__.py").is_file()
