"""What other machines must install: exact pins for what an index has, wheels for what no index has, and nothing else."""

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


def test_distributions_of_an_index_are_pinned_with_all_they_need() -> None:
    pins = needed(["fastapi"]).pins
    names = [each.partition("==")[0] for each in pins]
    assert {"fastapi", "starlette", "pydantic", "pydantic-core", "anyio"} <= set(names)
    assert names == sorted(names)
    assert not any("+" in each for each in pins), "a local label names no release"


def test_requirements_of_an_extra_are_needed_only_with_the_extra() -> None:
    plain = {each.partition("==")[0] for each in needed(["ftkit"]).pins}
    serving = {each.partition("==")[0] for each in needed(["ftkit[serving]"]).pins}
    assert "uvicorn" in serving - plain
    assert plain < serving


def test_a_provided_distribution_and_what_only_it_needs_are_left_out() -> None:
    names = {each.partition("==")[0] for each in needed(["fastapi"], provided=("Pydantic",)).pins}
    assert not names & {"pydantic", "pydantic-core"}


def test_an_editable_installation_is_a_source() -> None:
    (ftkit,) = needed(["ftkit"]).sources
    assert (ftkit.name, (ftkit.path / "ftkit" / "bundle" / "bundle.py").is_file()) == ("ftkit", True)


def test_a_distribution_that_is_not_installed_is_an_error_with_the_command_to_install_it() -> None:
    with pytest.raises(PluginError) as missing:
        needed(["no-such-distribution>=2"])
    assert missing.value.hint == "pip install 'no-such-distribution>=2'"


def test_what_no_index_has_is_not_pinned_to_what_an_index_has_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "ftkit_bert-0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-bert\nVersion: 0.9\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("ftkit.bundled_plugins.metadata.requires", lambda _: ['ftkit-bert==0.9; extra == "all"'])
    with pytest.raises(PluginError, match="ftkit-bert was installed by its name, and no index has it yet") as refused:
        needed(["ftkit-bert"])
    assert refused.value.hint.endswith("pip install DIST/ftkit_bert-0.9-*.whl")
    monkeypatch.setattr("ftkit.bundled_plugins.PUBLISHED", True)
    assert needed(["ftkit-bert"]).pins == ("ftkit-bert==0.9",)


def test_a_component_without_an_installed_distribution_is_an_error() -> None:
    assert owners([MetricFloor]) == ["ftkit"]
    with pytest.raises(PluginError, match="toy-words"):
        owners([ToyWords])


def test_the_same_files_give_the_same_wheel(tmp_path: Path) -> None:
    probe = source(tmp_path / "probe")
    (first,), (second,) = build([probe], tmp_path / "first"), build([probe], tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    assert "ftkit_probe/__init__.py" in zipfile.ZipFile(first).namelist()


def test_a_script_prefers_the_wheels_beside_it(tmp_path: Path) -> None:
    build([source(tmp_path / "probe")], tmp_path / "code" / WHEELS)
    script = tmp_path / "code" / "script.py"
    script.write_text(f"{PREAMBLE}\nimport ftkit_probe\nprint(ftkit_probe.ANSWER)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_a_script_can_send_its_wheels_on(tmp_path: Path) -> None:
    (wheel,) = build([source(tmp_path / "probe")], tmp_path / "code" / WHEELS)
    body = "from ftkit.bundle.requirements import needed\nprint(*(each.path for each in needed(['ftkit-probe']).sources))\n"
    script = tmp_path / "code" / "script.py"
    script.write_text(PREAMBLE + body, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == (f"{wheel}\n", "")


def test_a_build_that_fails_is_an_error_with_its_output(tmp_path: Path) -> None:
    probe = source(tmp_path / "probe")
    (probe.path / "pyproject.toml").write_text(PYPROJECT.format(version="no version"), encoding="utf-8")
    with pytest.raises(PluginError) as failed:
        build([probe], tmp_path / "wheels")
    assert "no version" in str(failed.value)
    assert not list((tmp_path / "wheels").iterdir())


def test_a_wheel_with_compiled_parts_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "probe-1-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"")
    with pytest.raises(PluginError, match="compiled"):
        build([Source("probe", "1", wheel)], tmp_path / "wheels")


class Distribution:
    """An installed distribution with this `direct_url.json`."""

    version = "1.0"

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str:
        return self.origin


def test_a_distribution_from_a_repository_is_pinned_by_its_address() -> None:
    git = '{"url": "https://example.org/probe", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    pin = requirements._pin_or_source("probe", Distribution(git))  # type: ignore[arg-type]
    assert pin == "probe @ git+https://example.org/probe@abc"


def test_a_distribution_whose_folder_is_gone_is_an_error() -> None:
    with pytest.raises(PluginError, match="cannot be built again"):
        requirements._pin_or_source("probe", Distribution('{"url": "file:///no/such/folder", "dir_info": {}}'))  # type: ignore[arg-type]
