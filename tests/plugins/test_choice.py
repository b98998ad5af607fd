"""`[run] plugins`: a package that happens to be in the environment takes no part in a run that does not name it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ftkit import plugins
from ftkit.errors import RecipeError
from ftkit.recipe import loader
from ftkit.runs.plan_keys import plan_key
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle

Place = Callable[..., EntryPoint]

STRANGER = """
import pathlib
pathlib.Path("imported").touch()
from ftkit import hookimpl

@hookimpl
def on_event(event):
    pathlib.Path("observed").touch()
"""
"""A plugin that leaves a trace where it is imported, and where it observes a run."""


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the toys' recipe, and the toys installed; afterwards all plugins take part again."""
    monkeypatch.chdir(tmp_path)
    with toys.install(tmp_path):
        yield tmp_path
        plugins.choose(None)


def recipe(folder: Path, chosen: str) -> Path:
    path = folder / "toy.toml"
    path.write_text(toys.RECIPE.replace("[run]\n", f"[run]\nplugins = {chosen}\n"))
    return path


def test_a_stranger_is_neither_imported_nor_told_of_a_run_that_does_not_name_it(workshop: Path, place: Place) -> None:
    place("acme-stranger", STRANGER)
    ran = subprocess.run(
        [sys.executable, "-m", "ftkit", "run", recipe(workshop, '["ftkit_toys", "ftkit-local"]'), "--plain"],
        cwd=workshop,
        env={**os.environ, "FTKIT_HOME": str(workshop / "home")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert not (workshop / "imported").exists() and not (workshop / "observed").exists()
    (record,) = (workshop / "home").glob("runs/*/bundle/promotion.json")
    assert "acme-stranger" not in record.read_text() and '"ftkit-toys"' in record.read_text()


def test_a_component_of_a_plugin_that_is_not_named_is_a_mistake_that_says_so(workshop: Path) -> None:
    with pytest.raises(RecipeError) as wrong:
        loader.load(recipe(workshop, '["ftkit-local"]'), {"backbone.use": "bert-base-cased"})
    problems = {each.key: each for each in wrong.value.problems}
    assert problems["dataset.use"].what == "no dataset named 'toy-reviews' takes part"
    hint = problems["dataset.use"].hint
    assert hint.startswith("[run] plugins leaves out ") and "ftkit-toys" in hint
    assert problems["backbone.use"].hint == "It comes with the plugin ftkit-bert, which [run] plugins does not name."


def test_a_recipe_that_does_not_choose_has_all_plugins_again(workshop: Path) -> None:
    assert plugins.load().names("datasets") == loader.plugins.load().names("datasets")
    plan = loader.load(recipe(workshop, '["ftkit-toys", "ftkit-local"]'))
    assert plan.plugins == ("ftkit-toys", "ftkit-local")
    assert "ftkit-quickstart" in plugins.load().left_out
    assert loader.loads(plan.text) == plan
    (workshop / "all.toml").write_text(toys.RECIPE)
    assert loader.load(workshop / "all.toml").plugins is None
    assert plugins.load().left_out == ()


@pytest.mark.parametrize(
    ("chosen", "key", "what"),
    [
        ('"ftkit-toys"', "run.plugins", "must be a list of names of plugins"),
        ('["ftkit-toys", 7]', "run.plugins", "must be a list of names of plugins"),
        ('["ftkit-toys", "ftkit-local", "ftkit-lokal"]', "run.plugins.2", "no plugin 'ftkit-lokal' is installed"),
    ],
)
def test_what_is_no_list_of_installed_plugins_is_a_mistake(workshop: Path, chosen: str, key: str, what: str) -> None:
    with pytest.raises(RecipeError) as wrong:
        loader.load(recipe(workshop, chosen))
    (problem,) = wrong.value.problems
    assert (problem.key, problem.what) == (key, what)


def test_where_a_part_of_the_run_happens_not_every_plugin_of_the_list_need_be_installed(workshop: Path) -> None:
    text = loader.load(recipe(workshop, '["ftkit-toys", "ftkit-local"]')).text
    elsewhere = text.replace('"ftkit-toys",', '"ftkit-toys",\n    "ftkit-only-there",')
    assert loader.loads(elsewhere).plugins == ("ftkit-toys", "ftkit-only-there", "ftkit-local")


def test_the_choice_changes_no_key_and_is_not_written_where_there_is_none(workshop: Path) -> None:
    (workshop / "all.toml").write_text(toys.RECIPE)
    everything = loader.load(workshop / "all.toml").text
    assert "plugins" not in everything
    assert plan_key(everything) == plan_key(loader.load(recipe(workshop, '["ftkit-toys", "ftkit-local"]')).text)


def test_a_server_has_the_plugins_of_the_run_alone(
    workshop: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("acme-stranger", STRANGER)
    monkeypatch.setenv("FTKIT_DEPLOYMENT", "v1-20250101-120000")
    bundle = toy_bundle(workshop / "bundle", recipe='name = "toy"\n\n[run]\nplugins = ["ftkit-toys"]\n')
    host = ModelHost(bundle.folder)
    host.load()
    host.close()
    assert host.status.state == "ready", host.status.reason
    assert "acme-stranger" in plugins.load().left_out
    assert not (workshop / "imported").exists()
