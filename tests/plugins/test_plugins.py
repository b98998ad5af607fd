"""Plugins: found by their entry points, refused when names clash, set aside when they do not work."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from ftkit import hookimpl, plugins
from ftkit.bundled_plugins import bundled_plugins
from ftkit.contracts.space import Choice
from ftkit.errors import PluginError
from ftkit.events import Noticed


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search space that follows the protocol."""

    name: ClassVar[str] = "tiny"

    def dimensions(self) -> dict[str, Choice]:
        return {"epochs": Choice((1, 2))}


def offering(*components: Any, hook: str = "search_spaces") -> SimpleNamespace:
    """A plugin that offers these components by one hook."""

    def offer() -> list[Any]:
        return list(components)

    offer.__name__ = hook
    return SimpleNamespace(**{hook: hookimpl(offer)})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a module as a distribution with an entry point, as pip does, and loads all plugins of the folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(distribution: str, source: str, *, modules: int = 1) -> plugins.Plugins:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = []
        for number in range(modules):
            module = f"{distribution.replace('-', '_')}_{number}_{tmp_path.name.replace('-', '_')}"
            (tmp_path / f"{module}.py").write_text(source.replace("NUMBER", str(number)))
            lines.append(f"{module} = {module}")
        (info / "entry_points.txt").write_text("\n".join(["[ftkit]", *lines, ""]))
        entries = [each for each in entry_points(group="ftkit") if each.value.endswith(tmp_path.name.replace("-", "_"))]
        return plugins.collect(entries)

    return install


SPACE = """
from dataclasses import dataclass
from typing import ClassVar
from ftkit import hookimpl
from ftkit.contracts.space import Choice

@dataclass(frozen=True)
class Space:
    "A space."
    name: ClassVar[str] = "space-NUMBER"

    def dimensions(self):
        return {"epochs": Choice((1, 2))}

@hookimpl
def search_spaces():
    return [Space]
"""


def test_a_component_is_found_by_kind_and_name_with_its_plugin(installed):
    installed_plugins = installed("ftkit-spaces", SPACE)
    assert installed_plugins.names("search_spaces") == ["space-0"]
    assert installed_plugins.find("search_spaces", "space-0")().dimensions() == {"epochs": Choice((1, 2))}
    assert [each.plugin for each in installed_plugins.offers] == ["ftkit-spaces 1.2"]
    assert installed_plugins.broken == ()


def test_one_distribution_may_hold_several_plugins(installed):
    assert installed("ftkit-spaces", SPACE, modules=2).names("search_spaces") == ["space-0", "space-1"]


def test_two_components_of_one_kind_and_name_are_refused_naming_both_plugins():
    with pytest.raises(PluginError, match=r"search space named 'tiny': one 1\.0 and two 2\.0") as refused:
        plugins.collect([], {"one 1.0": offering(Space), "two 2.0": offering(Space)})
    assert "Uninstall one" in refused.value.hint
    assert refused.value.exit_code == 3


def test_the_same_name_in_two_kinds_is_no_clash():
    @dataclass(frozen=True)
    class Test:
        name: ClassVar[str] = "tiny"

        def check(self, candidate: Any, champion: Any) -> Any: ...

    installed_plugins = plugins.collect([], {"one": offering(Space), "two": offering(Test, hook="promotion_tests")})
    assert [(each.kind, each.name) for each in installed_plugins.offers] == [
        ("promotion_tests", "tiny"),
        ("search_spaces", "tiny"),
    ]


def test_a_misspelt_hook_is_refused_naming_the_plugin_and_the_nearest_hook():
    with pytest.raises(PluginError, match="ftkit-typo 3 offers a hook that ftkit does not have: backbone\n") as refused:
        plugins.collect([], {"ftkit-typo 3": offering(hook="backbone")})
    assert refused.value.hint == "Did you mean 'backbones'?"


def test_an_unknown_hook_is_refused_with_a_list_of_all_hooks():
    with pytest.raises(PluginError) as refused:
        plugins.collect([], {"plugin": offering(hook="zzz")})
    assert all(kind in refused.value.hint for kind in [*plugins.KINDS, "on_event"])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('this needs a licence')", "SystemExit: this needs a licence"),
        ("from ftkit import hookimpl\n@hookimpl\ndef backbones(wrong):\n    return []", "wrong"),
        (
            "from ftkit import hookimpl\n@hookimpl\ndef backbones():\n    return 1 / 0",
            "backbones failed: ZeroDivisionError",
        ),
        ("from ftkit import hookimpl\n@hookimpl\ndef backbones():\n    pass", "backbones failed: TypeError"),
    ],
)
def test_a_plugin_that_does_not_work_is_named_and_the_others_still_work(installed, source, reason):
    installed("ftkit-spaces", SPACE)
    installed_plugins = installed("ftkit-broken", source)
    assert installed_plugins.names("search_spaces") == ["space-0"]
    (broken,) = installed_plugins.broken
    assert broken.plugin == "ftkit-broken 1.2"
    assert reason in broken.reason
    with pytest.raises(PluginError, match=r"ftkit-broken 1\.2 was set aside"):
        installed_plugins.find("backbones", "missing")


def test_a_module_with_two_entry_points_is_one_plugin():
    entry = EntryPoint("core", "ftkit.evaluation.promotion_tests", "ftkit")
    again = EntryPoint("again", "ftkit.evaluation.promotion_tests", "ftkit")
    assert "metric-floor" in plugins.collect([entry, again]).names("promotion_tests")


def test_a_component_that_is_not_frozen_is_refused():
    @dataclass
    class Loose:
        name: ClassVar[str] = "loose"

        def dimensions(self) -> Any: ...

    with pytest.raises(PluginError, match="plugin offers the search space 'loose', which is not frozen"):
        plugins.collect([], {"plugin": offering(Loose)})


def test_a_component_without_a_name_is_refused():
    @dataclass(frozen=True)
    class Nameless:
        def dimensions(self) -> Any: ...

    with pytest.raises(PluginError, match="plugin offers Nameless, which has no name"):
        plugins.collect([], {"plugin": offering(Nameless)})


def test_a_component_without_a_verb_is_refused_with_the_protocol_to_follow():
    @dataclass(frozen=True)
    class Lazy:
        name: ClassVar[str] = "lazy"

        def register(self) -> Any: ...

        def champion(self) -> Any: ...

    with pytest.raises(PluginError, match="the registry 'lazy' without track, promote, fetch, versions") as refused:
        plugins.collect([], {"plugin": offering(Lazy, hook="registries")})
    assert "ftkit.contracts.Registry" in refused.value.hint


@pytest.mark.parametrize("component", [Space(), "tiny", type("Plain", (), {"name": "plain"})])
def test_a_component_that_is_no_dataclass_is_refused(component):
    with pytest.raises(PluginError, match="which is no dataclass"):
        plugins.collect([], {"plugin": offering(component)})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tinny", "Did you mean 'tiny'?"),
        (
            "bert-paper",
            "It comes with the plugin ftkit-bert: pip install -e plugins/ftkit-bert.",
        ),
        ("unheard-of", "Installed: tiny."),
    ],
)
def test_a_name_that_is_not_installed_is_an_error_with_advice(name, advice):
    installed_plugins = plugins.collect([], {"plugin": offering(Space)})
    with pytest.raises(PluginError, match=f"no search space named '{name}'") as refused:
        installed_plugins.find("search_spaces", name)
    assert advice in refused.value.hint


def test_an_error_of_an_observer_is_logged_and_the_others_still_get_the_event(caplog):
    events: list[Any] = []

    class Broken:
        @hookimpl
        def on_event(self, event: Any) -> None:
            raise RuntimeError("telemetry is down")

    class Works:
        @hookimpl
        def on_event(self, event: Any) -> None:
            events.append(event)

    installed_plugins = plugins.collect([], {"one": Broken(), "two": Works(), "three": Broken()})
    event = Noticed("something happened")
    with caplog.at_level(logging.ERROR, logger="ftkit"):
        installed_plugins.tell(event)
    assert events == [event]
    assert [record.getMessage() for record in caplog.records] == [
        "the observer of one failed",
        "the observer of three failed",
    ]


def test_the_installed_bundled_components_come_from_the_listed_plugins():
    for each in plugins.load().offers:
        owner = each.plugin.partition(" ")[0]
        if each.name in bundled_plugins() and owner.startswith("ftkit-") and "toys" not in owner:
            assert bundled_plugins()[each.name] == owner


def test_loading_plugins_imports_no_heavy_library():
    import subprocess

    script = (
        "import sys; from ftkit import plugins; plugins.load();"
        "print([name for name in ('torch', 'transformers', 'mlflow', 'optuna', 'fastapi', 'pandas') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
