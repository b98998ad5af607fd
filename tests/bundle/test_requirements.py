"""What travels to other machines: exact pins for what an index has, wheels for what it has not, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ftkit.bundle import requirements
from ftkit.bundle.requirements import PREAMBLE, WHEELS, Source, build, needed, owners
from ftkit.errors import PluginError
from ftkit.evaluation.promotion_tests import MetricFloor
from ftkit.testing.toys import ToyWords

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "ftkit-probe"
version = "{version}"
"""


def source(folder: Path, version: str = "1.0") -> Source:
    """A distribution of one module, under development."""
    (folder / "ftkit_probe").mkdir(parents=True)
    (folder / "ftkit_probe" / "__init__.py").write_text("ANSWER = 42\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT.format(version=version), encoding="utf-8")
    return Source("ftkit-probe", version, folder)


def test_what_an_index_has_is_pinned_with_all_it_needs() -> None:
    pins = needed(["fastapi"]).pins
    names = [each.partition("==")[0] for each in pins]
    assert {"fastapi", "starlette", "pydantic", "pydantic-core", "anyio"} <= set(names)
    assert names == sorted(names)
    assert not any("+" in each for each in pins), "a local label names no release"


def test_extras_bring_their_own_and_only_when_asked_for() -> None:
    plain = {each.partition("==")[0] for each in needed(["ftkit"]).pins}
    serving = {each.partition("==")[0] for each in needed(["ftkit[serving]"]).pins}
    assert "uvicorn" in serving - plain
    assert plain < serving


def test_what_is_provided_and_what_only_it_needs_is_left_out() -> None:
    names = {each.partition("==")[0] for each in needed(["fastapi"], provided=("Pydantic",)).pins}
    assert not names & {"pydantic", "pydantic-core"}


def test_an_editable_installation_is_a_source() -> None:
    (ftkit,) = needed(["ftkit"]).sources
    assert (ftkit.name, (ftkit.path / "ftkit" / "bundle" / "bundle.py").is_file()) == ("ftkit", True)


def test_something_missing_is_said_with_who_needs_it() -> None:
    with pytest.raises(PluginError) as missing:
        needed(["no-such-distribution>=2"])
    assert missing.value.hint == "pip install 'no-such-distribution>=2'"


def test_components_have_owners_unless_nobody_installed_them() -> None:
    assert owners([MetricFloor]) == ["ftkit"]
    with pytest.raises(PluginError, match="toy-words"):
        owners([ToyWords])


def test_the_same_files_give_the_same_wheel(tmp_path: Path) -> None:
    probe = source(tmp_path / "probe")
    (one,), (other,) = build([probe], tmp_path / "one"), build([probe], tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    assert "ftkit_probe/__init__.py" in zipfile.ZipFile(one).namelist()


def test_a_script_prefers_the_wheels_beside_it(tmp_path: Path) -> None:
    build([source(tmp_path / "probe")], tmp_path / "code" / WHEELS)
    script = tmp_path / "code" / "script.py"
    script.write_text(f"{PREAMBLE}\nimport ftkit_probe\nprint(ftkit_probe.ANSWER)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_a_script_can_take_its_wheels_along_again(tmp_path: Path) -> None:
    (wheel,) = build([source(tmp_path / "probe")], tmp_path / "code" / WHEELS)
    asking = "from ftkit.bundle.requirements import needed\nprint(*(each.path for each in needed(['ftkit-probe']).sources))\n"
    script = tmp_path / "code" / "script.py"
    script.write_text(PREAMBLE + asking, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == (f"{wheel}\n", "")


def test_what_cannot_be_built_is_told_with_what_the_build_said(tmp_path: Path) -> None:
    probe = source(tmp_path / "probe")
    (probe.path / "pyproject.toml").write_text(PYPROJECT.format(version="no version"), encoding="utf-8")
    with pytest.raises(PluginError) as failed:
        build([probe], tmp_path / "wheels")
    assert "no version" in str(failed.value)
    assert not list((tmp_path / "wheels").iterdir())


def test_compiled_parts_do_not_travel(tmp_path: Path) -> None:
    wheel = tmp_path / "probe-1-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"")
    with pytest.raises(PluginError, match="compiled"):
        build([Source("probe", "1", wheel)], tmp_path / "wheels")


def test_origins_other_than_an_index_are_pinned_by_their_address() -> None:
    class Found:
        version = "1.0"

        def __init__(self, origin: str) -> None:
            self.origin = origin

        def read_text(self, name: str) -> str:
            return self.origin

    git = '{"url": "https://example.org/probe", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    assert requirements._placed("probe", Found(git)) == "probe @ git+https://example.org/probe@abc"  # type: ignore[arg-type]
    gone = '{"url": "file:///no/such/folder", "dir_info": {"editable": true}}'
    with pytest.raises(PluginError, match="cannot be built again"):
        requirements._placed("probe", Found(gone))  # type: ignore[arg-type]
