"""The list of plugins that comes with ftkit: it names what there is, as it is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from click.testing import CliRunner

from ftkit import plugins
from ftkit.commands.installed import plugins as command
from ftkit.plugins import KINDS
from ftkit.plugins.directory import NOT_ENDORSED, listed
from ftkit.reference import directory

ROOT = Path(__file__).parent.parent.parent


def test_every_plugin_of_this_repository_is_listed_as_it_is() -> None:
    """What does not fit is renewed in ftkit/plugins/directory.toml."""
    entries = {each.name: each for each in listed() if "://" not in each.link}
    installed = plugins.load()
    own = {}
    for path in sorted((ROOT / "plugins").glob("*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        if "ftkit" in project.get("entry-points", {}):
            own[project["name"]] = (path.parent, project)
    assert entries.keys() == own.keys()
    for name, (folder, project) in own.items():
        entry = entries[name]
        (number,) = project["entry-points"]["requires_ftkit_api"]
        assert (entry.about, entry.api) == (project["description"], int(number)), name
        assert ROOT / entry.link == folder
        owner = next(each for each in installed.entries if each.partition(" ")[0] == name)
        assert sorted(entry.kinds) == installed.hooks_of(owner), name


def test_an_entry_of_somebody_else_has_an_address_and_hooks_that_there_are() -> None:
    for entry in listed():
        assert re.match(r"https://\S+$|plugins/[a-z-]+$", entry.link), entry.name
        assert set(entry.kinds) <= {*KINDS, "on_event", "watchers"}


def test_the_page_is_made_of_the_list() -> None:
    page = (ROOT / "docs" / "directory.md").read_text(encoding="utf-8")
    assert page == directory.page(), "`make docs` brings it up to date"
    assert NOT_ENDORSED in page


def test_the_command_shows_the_list_with_what_is_installed() -> None:
    shown = CliRunner().invoke(command, ["--available", "--json"], obj=type("Ending", (), {"json": False})())
    entries = {each["name"]: each for each in json.loads(shown.output)}
    assert entries.keys() == {each.name for each in listed()}
    assert entries["ftkit-bert"]["installed"] is True
    assert entries["ftkit-bert"]["install"] == "pip install -e plugins/ftkit-bert"
    assert NOT_ENDORSED in CliRunner().invoke(command, ["--available"]).output


def test_the_command_shows_where_each_plugin_comes_from_and_what_it_brings() -> None:
    shown = json.loads(CliRunner().invoke(command, ["--json"], obj=type("Ending", (), {"json": False})()).output)
    bert = next(each for each in shown["plugins"] if each["name"] == "ftkit-bert")
    assert "bert-base-cased" in bert["brings"]["backbones"]
    assert bert.keys() == {"name", "version", "api", "origin", "sha256", "brings"}
    lines = CliRunner().invoke(command, []).output.splitlines()
    assert lines[0].split() == ["plugin", "version", "API", "brings", "origin"]
    assert re.match(
        r"ftkit-bert +\S+ .*4 backbones, 2 search spaces", next(each for each in lines if each.startswith("ftkit-bert"))
    )
