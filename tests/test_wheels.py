"""What is released works without the checkout: metadata, the recipes that come along, and a whole run from wheels."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import make_dist
from ftkit import plugins
from ftkit._version import API, __version__
from ftkit.plugins import origins
from tests.wheels import Installed

SMALL = {
    "dataset.rows": "100",
    "backbone.epochs": "1",
    "backbone.max_length": "16",
    "search.trials": "1",
    "search.space": "{}",
    "promote": '[{use = "metric-floor", floor = 0.01}, {use = "beats-majority", margin = 0.0}]',
    "rollout.bake": "0.0",
}
"""The quickstart with little data and one short trial, whose model passes."""


def test_every_distribution_has_the_version_of_ftkit_and_requires_the_others_in_it(wheels: Path) -> None:
    for name in make_dist.folders():
        (path,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(path) as archive:
            text = archive.read(f"{path.name.split('-py3')[0]}.dist-info/METADATA").decode()
        headers = HeaderParser().parsestr(text)
        assert headers["Version"] == __version__
        own = [
            each for each in headers.get_all("Requires-Dist", []) if each.startswith("ftkit") and "extra ==" not in each
        ]
        assert [each for each in own if not each.endswith(f"=={__version__}")] == []
        assert own or name == "ftkit"


def test_no_pyproject_of_a_plugin_has_a_version_of_its_own() -> None:
    for folder in make_dist.folders().values():
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        assert table["project"]["dynamic"] == ["version"], folder
        needs = table["project"]["dependencies"]
        assert [each for each in needs if each.startswith("ftkit") and "=" in each] == [], folder


def test_a_source_distribution_holds_what_it_is_built_from_and_no_tests(wheels: Path) -> None:
    with tarfile.open(wheels / f"ftkit-{__version__}.tar.gz") as archive:
        names = {each.partition("/")[2] for each in archive.getnames()}
    assert {
        "pyproject.toml",
        "hatch_build.py",
        "LICENSE",
        "recipes/quickstart.toml",
        "ftkit/bundled_plugins.json",
    } <= names
    assert {each.partition("/")[0] for each in names} & {"tests", "plugins", "benchmarks", "docs"} == set()


def test_an_index_would_show_every_file_as_it_is(wheels: Path) -> None:
    pytest.importorskip("twine")
    files = [*wheels.glob("*.whl"), *wheels.glob("*.tar.gz")]
    assert len(files) == 2 * len(make_dist.folders())
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_extra_all_names_every_plugin() -> None:
    extras = make_dist._project(make_dist.ROOT)["optional-dependencies"]
    plugins = make_dist.folders().keys() - {"ftkit"}
    assert {each for each in extras["all"] if not each.startswith("ftkit[")} == plugins, (
        "the extra `all` in pyproject.toml must name every plugin of this repository"
    )
    for usual in ("quickstart", "azure"):
        assert {each for each in extras[usual] if each.startswith("ftkit-")} < plugins


def test_a_wheel_without_what_a_release_needs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bare-1.0.dist-info/METADATA", "Metadata-Version: 2.4\nName: bare\nVersion: 1.0\n\n")
    with pytest.raises(make_dist.NotReady, match=r"^bare: its wheel is without a licence file and .* and py\.typed"):
        make_dist.check("bare", path)


def test_nothing_of_the_checkout_is_in_the_environment_with_the_wheels(elsewhere: Installed, tmp_path: Path) -> None:
    code = "import sys, json, ftkit, ftkit_bert; print(json.dumps([ftkit.__file__, ftkit_bert.__file__, *sys.path]))"
    ran = elsewhere.run("-c", code, at=tmp_path)
    assert ran.returncode == 0, ran.stderr
    core, bert, *paths = json.loads(ran.stdout)
    assert Path(core).is_relative_to(elsewhere.folder) and Path(bert).is_relative_to(elsewhere.folder)
    assert [each for each in paths if Path(each, "make_dist.py").exists() or Path(each, "ftkit_bert").is_dir()] == [
        str(Path(bert).parent.parent)
    ]


def test_a_plugin_is_described_from_its_wheel_with_the_hash_that_its_files_have_here(
    elsewhere: Installed, wheels: Path, tmp_path: Path
) -> None:
    ran = elsewhere.run("-m", "ftkit", "plugins", "--json", at=tmp_path)
    assert ran.returncode == 0, ran.stderr
    shown = json.loads(ran.stdout)
    assert shown["set_aside"] == []
    described = {each["name"]: each for each in shown["plugins"]}
    assert {each["api"] for name, each in described.items() if name in make_dist.folders()} == {str(API)}
    bert = described["ftkit-bert"]
    assert bert["origin"] == str(next(wheels.glob("ftkit_bert-*.whl")))
    assert bert["sha256"] == origins.hashes(plugins.load())["ftkit-bert"]["sha256"]
    listed = json.loads(elsewhere.run("-m", "ftkit", "plugins", "--available", "--json", at=tmp_path).stdout)
    assert {each["name"] for each in listed if not each["installed"]} == set()
    assert [each["name"] for each in listed if not each["install"].startswith("pip install --find-links DIST ")] == []


def test_the_quickstart_runs_by_its_name_from_wheels_alone(elsewhere: Installed, tmp_path: Path) -> None:
    settings = [each for key, value in SMALL.items() for each in ("--set", f"{key}={value}")]
    try:
        ran = elsewhere.run("-m", "ftkit", "run", "quickstart", "--json", *settings, at=tmp_path, timeout=1200)
        assert ran.returncode == 0, ran.stderr + ran.stdout[-3000:]
        outcome = json.loads(ran.stdout.splitlines()[-1])
        answer = elsewhere.run(
            "-m", "ftkit", "endpoint", "invoke", "news-endpoint", "The striker scored twice.", at=tmp_path
        )
        assert answer.returncode == 0, answer.stderr
    finally:
        elsewhere.run("-m", "ftkit", "endpoint", "stop", "news-endpoint", at=tmp_path)
    assert outcome
