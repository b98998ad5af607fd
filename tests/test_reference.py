"""The documentation matches the code: every page is up to date, every hook is documented and has a conformance kit."""

import importlib
import re
import sys
import tomllib
import types
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import ClassVar

import click
import pytest
from click.testing import CliRunner

from ftkit import hookimpl, hookspecs, options, plugins, reference
from ftkit.bundled_plugins import bundled_plugins
from ftkit.cli import COMMANDS, commands
from ftkit.contracts.policies import POLICIES
from ftkit.contracts.settings import Rollout, Search
from ftkit.errors import UsageError
from ftkit.plugins import KINDS
from ftkit.recipe import loader
from ftkit.reference.__main__ import main
from ftkit.testing import observers
from ftkit.testing.observers import ObserverSuite

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
HOOKS = [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "ftkit_spec")]


def folders() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


# ------------------------------------------------------------------------------------------- pages


def test_the_reference_pages_are_up_to_date():
    stale = reference.differences(DOCS / "reference", plugins.load())
    assert stale == [], "`make docs` brings them up to date"


def test_pages_that_are_out_of_date_fail_the_check_until_they_are_written_again(tmp_path):
    runner = CliRunner()
    folder = tmp_path / "reference"
    folder.mkdir()
    assert runner.invoke(main, [str(folder)]).exit_code == 0
    assert runner.invoke(main, ["--check", str(folder)]).exit_code == 0
    (folder / "cli.md").write_text("something else")
    (folder / "gone.md").write_text("about what is gone")
    (folder / "hooks.md").unlink()
    result = runner.invoke(main, ["--check", str(folder)])
    assert result.exit_code == 1
    assert [Path(line.partition(":")[0]).name for line in result.output.splitlines()[:-1]] == [
        "cli.md",
        "gone.md",
        "hooks.md",
    ]
    assert runner.invoke(main, [str(folder)]).exit_code == 0
    assert runner.invoke(main, ["--check", str(folder)]).exit_code == 0
    assert not (folder / "gone.md").exists()


def test_the_pages_do_not_depend_on_the_machine(monkeypatch, tmp_path):
    before = reference.pages(plugins.load())
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.pages(plugins.load()) == before


def test_pages_are_not_written_when_a_bundled_plugin_is_missing():
    with pytest.raises(UsageError, match="ftkit-quickstart"):
        reference.pages(plugins.collect([]))


def test_a_plugin_that_is_not_bundled_gets_no_page():
    class OtherPlugin:
        """A plugin that is not bundled."""

        @hookimpl
        def search_spaces(self) -> list[type]:
            return [OddSpace]

    loaded = plugins.load()
    mixed = plugins.Plugins(loaded._manager, [*loaded.offers, *plugins.collect([], {"odd": OtherPlugin()}).offers], ())
    assert reference.pages(mixed) == reference.pages(loaded)


def test_every_command_and_every_option_of_it_is_on_its_page():
    page = (DOCS / "reference" / "cli.md").read_text()
    for name in COMMANDS:
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        assert f"\n## ftkit {name}\n" in page
        for param in command.params:
            if param.param_type_name == "option":
                assert param.help, f"{name} {param.name} has no help"
                assert param.opts[0] in page


# ------------------------------------------------------------------------------------------- hooks


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    assert (getattr(hookspecs, hook).__doc__ or "").strip()
    assert f"\n## {hook}\n" in (DOCS / "reference" / "hooks.md").read_text()
    assert f"`{hook}`" in (DOCS / "plugins.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_conformance_kit_with_tests(hook):
    name = "observers" if hook == "on_event" else hook
    suites = {"on_event": "ObserverSuite", "watchers": "WatcherSuite"}
    suite_name = suites.get(hook) or f"{KINDS[hook].__name__}Suite"
    suite = getattr(importlib.import_module(f"ftkit.testing.{name}"), suite_name)
    assert suite.__doc__
    assert hasattr(suite, "component")
    assert sum(each.startswith("test_") for each in dir(suite)) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_of_a_component_is_documented(kind):
    methods = {name: each for name, each in vars(KINDS[kind]).items() if callable(each) and not name.startswith("_")}
    assert methods
    assert [name for name, method in methods.items() if not method.__doc__] == []


# -------------------------------------------------------------------------------------- components


@pytest.mark.parametrize("offered", plugins.load().offers, ids=lambda each: f"{each.kind}-{each.name}")
def test_every_option_of_every_component_has_a_description(offered):
    assert options.summary(offered.component)
    assert [each.name for each in options.options(offered.component) if not each.doc] == []


@pytest.mark.parametrize("component", [Search, Rollout, *POLICIES], ids=lambda each: each.__name__)
def test_every_option_of_the_core_has_a_description(component):
    assert [each.name for each in options.options(component) if not each.doc] == []


@pytest.mark.parametrize("folder", folders(), ids=lambda each: each.name)
def test_every_bundled_plugin_is_known_and_has_a_conformance_test(folder):
    with (folder / "pyproject.toml").open("rb") as file:
        name = tomllib.load(file)["project"]["name"]
    distribution(name)
    offered = {each.name for each in plugins.load().offers if each.plugin.split()[0] == name}
    assert {each for each, owner in bundled_plugins().items() if owner == name} == offered
    tests = "\n".join(path.read_text() for path in (folder / "tests").rglob("*.py"))
    kinds = {each.kind for each in plugins.load().offers if each.plugin.split()[0] == name}
    assert [kind for kind in sorted(kinds) if f"{KINDS[kind].__name__}Suite)" not in tests] == []


# ------------------------------------------------------------------------------------ written pages


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_to_existing_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_commands_in_written_pages_exist():
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"^\s*ftkit (\w+)", page.read_text(), re.MULTILINE):
            assert name in COMMANDS, f"{page.name}: ftkit {name}"


def test_the_backbone_of_the_tutorial_is_a_component_of_under_15_lines():
    page = (DOCS / "plugins.md").read_text()
    (code,) = re.findall(r"^```python\n# ftkit_modern.py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    module = types.ModuleType("ftkit_modern")
    sys.modules["ftkit_modern"] = module
    try:
        exec(code, vars(module))
        (backbone,) = plugins.collect([], {"modern": module}).offers
    finally:
        del sys.modules["ftkit_modern"]
    assert (backbone.kind, backbone.name) == ("backbones", "modernbert-base")
    assert "learning_rate" in [each.name for each in options.options(backbone.component)]
    assert len([line for line in code.splitlines() if line.strip()]) < 15


def test_the_recipe_of_the_documentation_has_no_mistakes(tmp_path):
    page = (DOCS / "recipes.md").read_text()
    (tmp_path / "reviews.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "reviews.csv").write_text("text,label\n")
    assert loader.load(tmp_path / "reviews.toml").search.trials == 6


# ---------------------------------------------------------------------------------------- observers


@dataclass(frozen=True, kw_only=True)
class OddSpace:
    """The search space of a plugin that is not bundled."""

    name: ClassVar[str] = "odd"

    def dimensions(self) -> dict:
        return {}


class Journal:
    """An observer that keeps the events it gets."""

    def __init__(self) -> None:
        self.events: list[object] = []

    @hookimpl
    def on_event(self, event: object) -> None:
        self.events.append(event)


class TestAnObserver(ObserverSuite):
    @pytest.fixture
    def component(self):
        return Journal()


def test_the_sample_run_of_the_kit_has_every_kind_of_event():
    assert {type(each) for each in observers.sample_run()} == set(reference.event_types())
