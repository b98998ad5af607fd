"""What a component of every kind must be, as tests that the kits share: a frozen value whose fields are its options.

The kit of each kind inherits these tests, and what they run in: a home of its own, so that nothing of the user is read or written.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from ftkit import options
from ftkit.plugins import KINDS, component_checks, kind_noun
from ftkit.testing import toys

HEAVY = ("matplotlib", "numpy", "optuna", "pandas", "pyarrow", "ray", "scipy", "sklearn", "torch", "transformers")
"""Packages that take so long to import that a plugin must not import them before it needs them."""

T = TypeVar("T")


class OwnHome:
    """A home of its own for every test, without any run, endpoint or download of the user."""

    @pytest.fixture(autouse=True)
    def own_home(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The folder of FTKIT_HOME; FTKIT_CACHE is beside it."""
        folder = tmp_path_factory.mktemp("home", numbered=True)
        monkeypatch.setenv("FTKIT_HOME", str(folder / "data"))
        monkeypatch.setenv("FTKIT_CACHE", str(folder / "cache"))
        return folder / "data"


class WithToys(OwnHome):
    """The toys as an installed plugin besides, for this process and all that it starts."""

    @pytest.fixture(autouse=True)
    def surroundings(self, own_home: Path, tmp_path: Path) -> Iterator[None]:
        """`ftkit.testing.toys` in the folder `plugins` of the test's own."""
        with toys.install(tmp_path / "plugins"):
            yield


class ComponentSuite(OwnHome):
    """What the kits of all kinds share; a plugin inherits the kit of its kind."""

    kind: ClassVar[str]
    """The hook that offers such components."""

    @pytest.fixture
    def component(self) -> Any:
        """The component under test."""
        raise NotImplementedError("override the fixture `component`")

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: Any) -> None:
        """Whether ftkit would take it; the error says what is missing."""
        component_checks.check(type(component), kind_noun(self.kind), KINDS[self.kind])

    def test_its_verbs_and_options_are_of_the_right_form(self, component: Any) -> None:
        """Verbs take the arguments of the protocol; fields have types that a recipe can write, and defaults of these types."""
        component_checks.examine(type(component), kind_noun(self.kind), KINDS[self.kind])

    def test_it_says_what_it_is_for(self, component: Any) -> None:
        text = (type(component).__doc__ or "").strip()
        generated = f"{type(component).__name__}("  # what a dataclass has by itself
        assert text, "write a docstring under the class: `ftkit plugins` shows its first line"
        assert not text.startswith(generated), "write a docstring under the class: `ftkit plugins` shows its first line"

    def test_every_option_is_documented(self, component: Any) -> None:
        undocumented = [option.name for option in options.options(type(component)) if not option.doc]
        assert not undocumented, f"write a string under the fields {undocumented}: `ftkit options` shows it"

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: Any) -> None:
        section = options.to_table(component)
        again = options.build(type(component), section)
        assert again == component, f"the section {section} of a recipe makes another component: {again}"

    def test_it_can_be_sent_to_another_process(self, component: Any) -> None:
        copy = pickle.loads(pickle.dumps(component))  # noqa: S301  # our own bytes
        assert copy == component, "what comes out of a pickle must equal what went in: keep no state beside the fields"

    def test_options_can_be_replaced_and_not_assigned(self, component: Any) -> None:
        for field in dataclasses.fields(component):
            value = getattr(component, field.name)
            if field.init:
                copy = dataclasses.replace(component, **{field.name: value})
                assert copy == component, f"replacing {field.name} by its own value must change nothing"
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(component, field.name, value)

    def test_importing_it_loads_no_heavy_package(self, component: Any) -> None:
        module = type(component).__module__
        file = Path(sys.modules[module].__file__ or "")
        if file.name.startswith("test_"):
            pytest.skip("it is defined in a test")
        loaded = loaded_by(module, file)
        assert not loaded, f"import {', '.join(loaded)} inside the methods: every command of ftkit imports this module"


class Made:
    """What a kit makes once of each component: that of an equal component is used again."""

    def __init__(self) -> None:
        self._made: list[tuple[object, object]] = []

    def of(self, component: object, make: Callable[[], T]) -> T:
        """What was made of this component, else what `make` makes now."""
        for known, made in self._made:
            if known == component:
                return made  # type: ignore[return-value]  # whoever asks again makes the same
        made = make()
        self._made.append((component, made))
        return made


@functools.cache
def loaded_by(module: str, file: Path) -> tuple[str, ...]:
    """The heavy packages that are in a new process after it imported a module."""
    depth = module.count(".") + (file.name == "__init__.py")
    path = os.pathsep.join([str(file.parents[depth]), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert not process.returncode, f"{module} cannot be imported by itself:\n{process.stderr}"
    return tuple(process.stdout.split())
