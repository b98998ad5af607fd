"""Plugins: found by their entry points, and set aside where they do not work or names clash."""

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


def test_a_name_that_two_plugins_offer_is_refused_where_it_is_used_naming_both():
    @dataclass(frozen=True)
    class Other:
        name: ClassVar[str] = "other"

        def dimensions(self) -> dict[str, Choice]: ...

    rival = dataclass(frozen=True)(type("Rival", (), {"name": "tiny", "dimensions": Space.dimensions}))
    installed_plugins = plugins.collect([], {"one 1.0": offering(Space, Other), "two 2.0": offering(rival)})
    assert installed_plugins.names("search_spaces") == ["other"]
    assert {each.plugin for each in installed_plugins.broken} == {"one 1.0", "two 2.0"}
    with pytest.raises(PluginError, match=r"offered by one 1\.0 \(search space\) and two 2\.0") as refused:
        installed_plugins.find("search_spaces", "tiny")
    assert "Uninstall one" in refused.value.hint
    assert refused.value.exit_code == 3


def test_a_class_that_two_plugins_offer_is_no_clash():
    installed_plugins = plugins.collect([], {"one 1.0": offering(Space, Space), "two 2.0": offering(Space)})
    assert installed_plugins.names("search_spaces") == ["tiny"]
    assert installed_plugins.broken == ()


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


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('this needs a licence')", "SystemExit: this needs a licence"),
        (
            "from ftkit import hookimpl\n@hookimpl\ndef backbones(wrong):\n    return []",
            "its hook backbones does not take the arguments ()",
        ),
        (
            "from ftkit import hookimpl\n@hookimpl\ndef backbones():\n    return 1 / 0",
            "backbones failed: ZeroDivisionError",
        ),
        ("from ftkit import hookimpl\n@hookimpl\ndef backbones():\n    pass", "backbones returned None, not a list"),
        ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt"),
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


def test_an_error_of_an_observer_is_logged_once_and_the_others_still_get_the_events(caplog):
    events: list[Any] = []

    class Broken:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        @hookimpl
        def on_event(self, event: Any) -> None:
            raise self.error

    class Works:
        @hookimpl
        def on_event(self, event: Any) -> None:
            events.append(event)

    installed_plugins = plugins.collect(
        [], {"one": Broken(RuntimeError("telemetry is down")), "two": Works(), "three": Broken(SystemExit(3))}
    )
    event = Noticed("something happened")
    with caplog.at_level(logging.ERROR, logger="ftkit"):
        installed_plugins.tell(event)
        installed_plugins.tell(event)
    assert events == [event, event]
    assert [record.getMessage() for record in caplog.records] == [
        f"the observer of {plugin} failed: {error}; this is logged once only"
        for plugin, error in (("one", "RuntimeError: telemetry is down"), ("three", "SystemExit: 3"))
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
