"""What a recipe asks of its trials is refused, with its place, where backbone or platform cannot do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ftkit_local.platform import LocalPlatform

from ftkit.contracts.settings import Search
from ftkit.errors import RecipeError
from ftkit.recipe import loader
from ftkit.runs.plan_keys import plan_key
from ftkit.testing import toys

RECIPE = toys.RECIPE.replace("trials = 2", 'trials = 2\ncheckpoint = "10m"')


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> Iterator[None]:
    with toys.install(tmp_path / "plugins"):
        yield


def problem(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        loader.loads(text)
    return str(caught.value)


@pytest.mark.parametrize(("duration", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (None, 0)])
def test_a_duration_is_read(duration: str | None, seconds: float) -> None:
    assert Search(checkpoint=duration).checkpoint_seconds == seconds


@pytest.mark.parametrize("duration", ["", "10", "0m", "-1m", "1d", "m", "10 m", "1m30s"])
def test_another_text_is_no_duration(duration: str) -> None:
    with pytest.raises(ValueError, match='such as "30s", "10m" or "1h"'):
        Search(checkpoint=duration)


def test_checkpoints_are_in_the_resolved_recipe_and_do_not_make_another_run() -> None:
    plan = loader.loads(RECIPE)
    assert loader.loads(plan.text) == plan
    assert plan_key(plan.text) == plan_key(loader.loads(toys.RECIPE).text)


def test_checkpoints_of_a_backbone_that_cannot_go_on_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(toys.ToyWords, "resume")
    assert "recipe:13: search.checkpoint: a training of the backbone 'toy-words' cannot go on" in problem(RECIPE)


def test_checkpoints_on_a_platform_that_does_not_write_them_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalPlatform, "checkpoints", False)
    assert "recipe:13: search.checkpoint: a trial of the platform 'local' cannot go on" in problem(RECIPE)


def test_several_processes_for_a_backbone_that_cannot_are_refused() -> None:
    text = f"{toys.RECIPE}processes = 2\n"
    assert "recipe:16: run.processes: the backbone 'toy-words' cannot train one model in 2 processes" in problem(text)
    assert "processes must be at least 1" in problem(f"{toys.RECIPE}processes = 0\n")
