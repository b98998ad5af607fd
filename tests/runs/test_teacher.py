"""The champion as a teacher: fetched once in a run, to where its trials find it, and asked for in a recipe with a registry alone."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ftkit.bundle import bundle as bundles
from ftkit.contracts import CHAMPION, Version
from ftkit.encoders import Encoder
from ftkit.errors import RecipeError, StageError
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs import teacher
from ftkit.runs.plan_keys import plan_key
from ftkit.runs.stored_data import TEACHER
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle


@dataclass(frozen=True, kw_only=True)
class Student(Encoder):
    """An encoder that learns from the champion."""

    name = "student"
    teacher: str | None = CHAMPION


@dataclass(frozen=True)
class OneVersion:
    """A registry whose champion is a bundle, or that has none."""

    name = "one-version"
    bundle: Path | None
    fetched: list[str] = field(default_factory=list)
    model: str = "toy"

    def champion(self) -> Version | None:
        return Version(self.model, "3") if self.bundle else None

    def fetch(self, version: str, folder: Path) -> Path:
        self.fetched.append(version)
        assert self.bundle is not None
        return Path(shutil.copytree(self.bundle, folder / "bundle"))


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    with toys.install(tmp_path / "plugins"):
        yield


def plan_with(registry: Any) -> Any:
    return replace(loader.loads(toys.RECIPE), backbone=Student(), registry=registry)


def test_the_champion_is_fetched_once_in_a_run_that_may_be_interrupted(tmp_path: Path) -> None:
    bundle, ledger = toy_bundle(tmp_path / "bundle"), ledgers.at(tmp_path / "run", "toy", toys.RECIPE)
    (ledger.folder / "cache" / ".teacher").mkdir(parents=True)  # of a download that was interrupted
    registry, sentences = OneVersion(bundle.folder), list[str]()
    for _ in range(2):
        teacher.fetch(plan_with(registry), ledger, lambda event: sentences.append(str(event)))
    assert registry.fetched == ["3"]
    assert bundles.verify(ledger.folder / TEACHER).hash == bundle.hash
    assert [fact["version"] for fact in ledger.facts("teacher")] == ["3"]
    assert len(sentences) == 1
    assert "champion version 3" in sentences[0]
    assert [path.name for path in (ledger.folder / "cache").iterdir()] == ["teacher"]


def test_without_a_champion_the_run_ends_before_the_training(tmp_path: Path) -> None:
    ledger = ledgers.at(tmp_path / "run", "toy", toys.RECIPE)
    with pytest.raises(StageError, match="no champion"):
        teacher.fetch(plan_with(OneVersion(None)), ledger, lambda event: None)


def test_a_backbone_without_a_teacher_asks_no_registry(tmp_path: Path) -> None:
    ledger = ledgers.at(tmp_path / "run", "toy", toys.RECIPE)
    registry = OneVersion(Path("no bundle"))
    for backbone in (toys.ToyWords(), Student(teacher=None), Student(teacher="folder")):
        teacher.fetch(replace(plan_with(registry), backbone=backbone), ledger, lambda event: None)
    assert not registry.fetched


def test_a_recipe_without_a_registry_cannot_name_the_champion() -> None:
    recipe = toys.RECIPE.replace('use = "toy-words"', 'use = "minilm"\nteacher = "champion"')
    with pytest.raises(RecipeError, match="no champion to learn from"):
        loader.loads(recipe)


def test_options_of_the_training_leave_the_key_of_older_runs_as_it_is() -> None:
    recipe = loader.loads(toys.RECIPE.replace('use = "toy-words"', 'use = "minilm"')).text
    older = tomllib.loads(recipe)
    now = {each.name for each in fields(Encoder)}
    for name in now - BEFORE:
        older["backbone"].pop(name, None)
    assert plan_key(tomli_w.dumps(older)) == plan_key(recipe)
    older["backbone"]["label_smoothing"] = 0.1
    assert plan_key(tomli_w.dumps(older)) != plan_key(recipe)


BEFORE = {
    "checkpoint", "revision", "offline", "learning_rate", "epochs", "batch_size", "accumulation", "warmup", "weight_decay",
    "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "max_length", "dropout", "class_weights", "early_stopping",
    "evaluation_batch_size", "calibration", "precision", "engines",
}  # fmt: skip
"""The options of encoders in ftkit 0.2.0."""
