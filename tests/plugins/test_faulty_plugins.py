"""Whatever is wrong with a plugin is set aside with a sentence that names it and the cure; everybody else's components still work."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from ftkit import plugins
from ftkit.cli import main
from ftkit.testing import toys

HEAD = """
from __future__ import annotations
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ClassVar
import numpy
from ftkit import hookimpl
if TYPE_CHECKING:
    import pandas as pd
"""

SOUND = """
@dataclass(frozen=True, kw_only=True)
class Sound:
    name: ClassVar[str] = "sound"
    def load(self, seed, emit): ...
"""


def offering(component: str, *, decorator: str = "@dataclass(frozen=True, kw_only=True)", verb: str = "") -> str:
    """A plugin with a sound data set and the one of the case, whose body is given."""
    body = textwrap.indent(textwrap.dedent(component), "    ")
    verb = verb or "def load(self, seed, emit): ..."
    hook = "@hookimpl\ndef datasets():\n    return [Sound, Odd]\n"
    return f"{HEAD}{SOUND}\n{decorator}\nclass Odd:\n{body}\n    {verb}\n\n{hook}"


NAMED = 'name: ClassVar[str] = "odd"\n'

COMPONENTS: dict[str, tuple[str, str, str]] = {
    "not frozen": (offering(NAMED, decorator="@dataclass"), "the dataset 'odd' is not frozen", "frozen=True"),
    "no dataclass": (offering(NAMED, decorator=""), "the dataset Odd is no dataclass", "frozen=True"),
    "no name": (offering("x: int = 1\n"), "the dataset Odd has no name", "ClassVar"),
    "name is a number": (offering("name: ClassVar[int] = 3\n"), "the dataset Odd has no name", "ClassVar"),
    "name is a property": (
        offering("@property\ndef name(self): return 'odd'\n"),
        "the dataset Odd has no name",
        "ClassVar",
    ),
    "empty name": (offering('name: ClassVar[str] = ""\n'), "has the name '', which a recipe cannot use", "letters"),
    "name with spaces": (offering('name: ClassVar[str] = "my data"\n'), "has the name 'my data'", "letters"),
    "name is none": (offering('name: ClassVar[str] = "none"\n'), "has the name 'none'", "'none'"),
    "method missing": (offering(NAMED, verb="pass"), "the dataset 'odd' is without load", "ftkit.contracts.Dataset"),
    "method is a value": (offering(NAMED, verb="load: ClassVar[int] = 1"), "is without load", "Dataset"),
    "too few parameters": (
        offering(NAMED, verb="def load(self, seed): ..."),
        "load of the dataset 'odd' cannot be called with 2 arguments (seed, emit)",
        "def load(self, seed, emit)",
    ),
    "too many parameters": (
        offering(NAMED, verb="def load(self, seed, emit, folder): ..."),
        "cannot be called with 2 arguments",
        "Dataset",
    ),
    "asynchronous": (offering(NAMED, verb="async def load(self, seed, emit): ..."), "is asynchronous", "Dataset"),
    "unknown type": (
        offering(NAMED + "rows: Rowz = None\n"),
        "has a field 'rows' whose type cannot be resolved: NameError: name 'Rowz' is not defined",
        "top of the module",
    ),
    "type for checking only": (
        offering(NAMED + "frame: pd.DataFrame = None\n"),
        "has a field 'frame' whose",
        "TYPE_CHECKING",
    ),
    "array": (offering(NAMED + "w: numpy.ndarray = None\n"), "has a field 'w' of the type ndarray", "text, a number"),
    "list of arrays": (
        offering(NAMED + "w: list[numpy.ndarray] = ()\n"),
        "a field 'w' of the type ndarray",
        "Use text",
    ),
    "callable": (offering(NAMED + "f: Callable[[str], str] = str\n"), "a field 'f' of the type callable", "Use text"),
    "bytes": (offering(NAMED + 'key: bytes = b""\n'), "a field 'key' of the type bytes", "Use text"),
    "any class": (offering(NAMED + "it: itertools.count = None\n"), "a field 'it' of the type count", "Use text"),
    "function as default": (
        offering(NAMED + "clean: Any = len\n"),
        "a field 'clean' whose default is the function len",
        "Its type",
    ),
    "class as default": (offering(NAMED + "kind: Any = dict\n"), "whose default is the class dict", "Its type"),
    "default of another type": (
        offering(NAMED + 'rows: int = "many"\n'),
        "a field 'rows' whose default is 'many', not whole number",
        "Its type is whole number",
    ),
    "default None": (offering(NAMED + "rows: int = None\n"), "a field 'rows' whose default is None", "whole number"),
    "default text for a path": (offering(NAMED + 'file: Path = "x"\n'), "a field 'file' whose default is 'x'", "path"),
    "field with a wrong default": (
        offering(NAMED + "rows: int = field(default=1.5)\n"),
        "default is 1.5",
        "whole number",
    ),
    "factory that raises": (
        offering(NAMED + "rows: list[str] = field(default_factory=lambda: [][1])\n"),
        "a field 'rows' whose default cannot be made: IndexError",
        "default_factory",
    ),
    "field named use": (offering(NAMED + 'use: str = "x"\n'), "has a field 'use'", "Choose another name"),
    "field named name": (offering('name: str = "odd"\n'), "has a field 'name'", "ClassVar[str]"),
    "own check fails": (
        offering(NAMED + "rows: int = 1\ndef __post_init__(self): {}['a']\n"),
        "the component 'odd' cannot be made from its options: KeyError: 'a'",
        "ValueError",
    ),
    "own check exits": (
        offering(NAMED + "def __post_init__(self): raise SystemExit(3)\n"),
        "cannot be made from its options: SystemExit: 3",
        "ValueError",
    ),
    "own defaults refused": (
        offering(NAMED + 'def __post_init__(self): raise ValueError("no licence")\n'),
        "refuses its own defaults: no licence",
        "default",
    ),
    "an instance": (
        f"{HEAD}{SOUND}\n@hookimpl\ndef datasets():\n    return [Sound, Sound()]\n",
        "a dataset is Sound(), which is no class",
        "Return classes",
    ),
    "a text in the list": (
        f"{HEAD}{SOUND}\n@hookimpl\ndef datasets():\n    return [Sound, 'odd']\n",
        "a dataset is 'odd', which is no class",
        "Return classes",
    ),
    "a repr that raises": (
        (
            f"{HEAD}{SOUND}\nclass Shy:\n    def __repr__(self): raise ValueError\n"
            "@hookimpl\ndef datasets():\n    return [Sound, Shy()]\n"
        ),
        "a dataset is an instance of Shy",
        "Return classes",
    ),
}
"""Source of a plugin with the sound component `sound` and a faulty one; the reason that is given, and a part of the cure."""

HOOK = "@hookimpl\ndef backbones():\n    "
BESIDE = f"{HEAD}{SOUND}\n@hookimpl\ndef datasets():\n    return [Sound]\n\n"

HOOKS: dict[str, tuple[str, str, str]] = {
    "misspelt": (
        BESIDE + "@hookimpl\ndef backbone():\n    return []\n",
        "does not have: backbone",
        "Did you mean 'backbones'?",
    ),
    "of a later ftkit": (BESIDE + "@hookimpl\ndef zzz():\n    return []\n", "does not have: zzz", "on_event"),
    "unknown arguments": (
        BESIDE + "@hookimpl\ndef backbones(plan):\n    return []\n",
        "take the arguments ()",
        "def backbones()",
    ),
    "observer without event": (
        BESIDE + "@hookimpl\ndef on_event():\n    pass\n",
        "take the arguments (event)",
        "(event)",
    ),
    "asynchronous": (
        BESIDE + "@hookimpl\nasync def backbones():\n    return []\n",
        "is asynchronous",
        "def backbones()",
    ),
    "wrapper": (BESIDE + "@hookimpl(wrapper=True)\ndef backbones():\n    yield\n", "is a wrapper", "alone"),
    "returns a text": (BESIDE + HOOK + "return 'bert'\n", "returned an object of str, not a list", "Return a list"),
    "returns a class": (BESIDE + HOOK + "return Sound\n", "returned the class Sound, not a list", "Return a list"),
    "returns an instance": (
        BESIDE + HOOK + "return Sound()\n",
        "returned an object of Sound, not a list",
        "Return a list",
    ),
    "returns a mapping": (
        BESIDE + HOOK + "return {'a': Sound}\n",
        "returned an object of dict, not a list",
        "Return a list",
    ),
    "returns None": (BESIDE + HOOK + "pass\n", "returned None, not a list", "Return a list"),
    "never ends": (BESIDE + HOOK + "return itertools.count()\n", "returned more than 1,000 objects", "list that ends"),
    "generator that raises": (BESIDE + HOOK + "yield Sound\n    raise OSError('gone')\n", "failed: OSError: gone", ""),
    "raises": (BESIDE + HOOK + "return 1 / 0\n", "its hook backbones failed: ZeroDivisionError", ""),
    "exits": (BESIDE + HOOK + "raise SystemExit('no licence')\n", "failed: SystemExit: no licence", ""),
    "interrupts": (BESIDE + HOOK + "raise KeyboardInterrupt\n", "failed: KeyboardInterrupt", ""),
    "decorator forgotten": (
        BESIDE + "def backbones():\n    return []\n",
        "offers nothing by its function backbones",
        "@hookimpl",
    ),
}
"""Source of a plugin with a sound hook and a faulty one."""

WHOLE: dict[str, tuple[str, str]] = {
    "mutable default": (HEAD + "@dataclass\nclass A:\n    x: list = []\n", "mutable default"),
    "no such package": ("import no_such_package_at_all\n", "ModuleNotFoundError"),
    "no Python": ("def broken(:\n", "SyntaxError"),
    "exits": ("raise SystemExit(0)\n", "cannot be imported: SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt\n", "cannot be imported: KeyboardInterrupt"),
    "own kind of exception": ("class Odd(BaseException): ...\nraise Odd('x')\n", "cannot be imported: Odd: x"),
    "message that raises": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd\n",
        "cannot be imported: Odd",
    ),
    "long message": ("raise ValueError('x' * 10**6)\n", "ValueError: xxx"),
    "secret": ("raise ValueError('password=hunter2hunter2')\n", "cannot be imported: ValueError: password=***"),
    "no hook at all": ("def datasetz():\n    return []\n", "it offers nothing"),
    "all decorators forgotten": ("def datasets():\n    return []\n", "offers nothing by its function datasets"),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a module as the distribution ftkit-odd beside the toys; returns the plugins of this Python."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def install(source: str, value: str = "") -> plugins.Plugins:
        module = f"odd_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / "ftkit_odd-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-odd\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[ftkit]\nodd = {value.replace('MODULE', module) or module}\n")
        plugins.load.cache_clear()
        return plugins.load()

    with toys.install(tmp_path):
        (tmp_path / "toy.toml").write_text(toys.RECIPE)
        yield install


def set_aside(loaded: plugins.Plugins) -> plugins.Broken:
    """The one fault there is; everything else of this Python works."""
    loaded = loaded.examined()
    assert "toy-words" in loaded.names("backbones")
    assert "local" in loaded.names("platforms")
    (broken,) = loaded.broken
    assert broken.plugin == "ftkit-odd 1.2"
    assert len(broken.reason) < 400
    return broken


@pytest.mark.parametrize(("source", "reason", "cure"), COMPONENTS.values(), ids=COMPONENTS)
def test_a_faulty_component_is_set_aside_and_the_others_of_its_plugin_work(site, capsys, source, reason, cure):
    loaded = site(source)
    broken = set_aside(loaded)
    assert reason in broken.reason
    assert cure in broken.hint
    assert "sound" in loaded.examined().names("datasets")
    assert main(["check", "toy.toml"]) == 0
    if broken.name == "odd":
        capsys.readouterr()
        assert main(["check", "toy.toml", "--set", "dataset.use=odd"]) == 3
        shown = capsys.readouterr().err
        assert "--set dataset.use=odd: dataset.use: " in shown
        assert reason in shown
        assert "ftkit-odd 1.2" in shown


@pytest.mark.parametrize(("source", "reason", "cure"), HOOKS.values(), ids=HOOKS)
def test_a_faulty_hook_is_set_aside_and_the_other_hooks_of_its_plugin_work(site, source, reason, cure):
    broken = set_aside(site(source))
    assert reason in broken.reason
    assert cure in broken.hint
    assert "sound" in plugins.load().names("datasets")


@pytest.mark.parametrize(("source", "reason"), WHOLE.values(), ids=WHOLE)
def test_a_plugin_that_cannot_be_used_at_all_is_set_aside(site, source, reason):
    assert reason in set_aside(site(source)).reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module_at_all", "ModuleNotFoundError"),
        ("MODULE:nothing", "AttributeError"),
        ("MODULE:nothing.below", "AttributeError"),
        ("not a module!", "cannot be imported"),
        ("MODULE:NONE", "its entry point is None"),
        ("MODULE:TEXT", "it offers nothing"),
        ("MODULE:Hooks", "its hook datasets is in a class"),
    ],
)
def test_an_entry_point_that_names_no_plugin_is_set_aside(site, value, reason):
    source = f"{HEAD}NONE = None\nTEXT = 'text'\nclass Hooks:\n    @hookimpl\n    def datasets(self): return []\n"
    assert reason in set_aside(site(source, value)).reason


def test_every_command_works_beside_a_faulty_plugin_and_lists_it(site, capsys):
    site(COMPONENTS["array"][0])
    for command in (
        ["plugins"],
        ["plugins", "--json"],
        ["schema"],
        ["options", "toy-words"],
        ["check", "toy.toml"],
        ["plan", "toy.toml"],
    ):
        assert main(command) == 0, command
    capsys.readouterr()
    assert main(["plugins"]) == 0
    assert (
        "set aside: ftkit-odd 1.2: the component 'odd' has a field 'w' of the type ndarray" in capsys.readouterr().out
    )
    assert main(["options", "odd"]) == 3
    assert "ftkit-odd 1.2 was set aside" in capsys.readouterr().err


def test_a_recipe_that_may_need_a_plugin_that_cannot_be_imported_gets_its_reason(site, capsys):
    site("import no_such_package_at_all\n")
    assert main(["check", "toy.toml", "--set", "backbone.use=odd-words"]) == 2
    assert "Did you mean 'toy-words'?" in capsys.readouterr().err
    assert main(["check", "toy.toml", "--set", "backbone.use=quite-another"]) == 3
    assert "ftkit-odd 1.2 was set aside: it cannot be imported: ModuleNotFoundError" in capsys.readouterr().err


def test_mistakes_of_the_recipe_are_reported_beside_a_fault_of_a_plugin(site, capsys):
    site(COMPONENTS["array"][0])
    code = main(["check", "toy.toml", "--set", "dataset.use=odd", "--set", "search.trials=0"])
    shown = capsys.readouterr().err
    assert code == 2
    assert "of the type ndarray" in shown
    assert "trials must be at least 1" in shown


def test_a_plugin_that_only_observes_or_watches_is_fine(site):
    loaded = site(f"{HEAD}@hookimpl\ndef on_event(event): ...\n@hookimpl\ndef watchers(served): return []\n")
    assert loaded.examined().broken == ()
