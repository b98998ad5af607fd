"""Runs to kill: their recipes, and the folder that each of them begins from."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.turns import Numbers, measured

_HEAD = """
name = "faults"
seed = 7
dataset = {{ use = "table", path = "rows.csv" }}
run = {{ on = "local", retries = 9, threads = 1 }}
promote = [{{ use = "metric-floor", floor = 0.3 }}{tests}]
"""
_LINEAR = """
[backbone]
use = "linear"
min_df = 1

[search]
metric = "macro_f1"
trials = 2
concurrency = 2
sampler = "grid"
space.C = [0.3, {best}]
"""
_LIVE = """
[deploy]
use = "local"
endpoint = "faults"
threads = 1

[rollout]
canary = [50]
bake = 0.5
poll = 0.1
analysis = false
"""
_REGISTRY = """
[registry]
use = "mlflow"
model = "faults"
"""
_ENCODER = """
[backbone]
use = "bert-base-cased"
checkpoint = "encoder"
epochs = 4
batch_size = 8
max_length = 32
learning_rate = 1e-3

[search]
metric = "macro_f1"
checkpoint = "0.3s"
"""


@dataclass(frozen=True)
class Scene:
    """A run, and what there is before it begins."""

    name: str
    recipe: str
    roles: tuple[str, ...]
    """What of it is killed."""
    before: str = ""
    """The recipe of a run that has gone live before, so that there is something to replace; empty for none."""
    encoder: bool = False
    """Whether it trains a tiny encoder, made for it."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Processes that are there after it, by role."""


_ALL = ("client", "worker", "front", "server")
_SERVED = {"front": 1, "server": 1}

WHOLE = Scene(
    "whole",
    _HEAD.format(tests=', { use = "served-parity" }') + _LINEAR.format(best=8.0) + _REGISTRY + _LIVE,
    _ALL,
    before=_HEAD.format(tests="") + _LINEAR.format(best=0.02) + _REGISTRY + _LIVE,
    left=_SERVED,
)
"""Search, tests that ask a server, registry, and a rollout that replaces what is live."""
KEPT = Scene(
    "kept",
    _HEAD.format(tests="") + _LINEAR.format(best=8.0) + _LIVE + 'keep = "1h"\n',
    _ALL,
    before=_HEAD.format(tests="") + _LINEAR.format(best=0.02) + _LIVE,
    left={"front": 1, "server": 2, "other": 1},
)
"""Search, and a rollout that keeps what was live, which a process of its own looks after."""
TRIAL = Scene("trial", _HEAD.format(tests="") + _ENCODER, ("client", "worker"), encoder=True)
"""One trial of an encoder, which writes a checkpoint three times a second."""
SMALL = Scene("small", _HEAD.format(tests="") + _LINEAR.format(best=8.0) + _LIVE, _ALL, left=_SERVED)
"""Search and rollout alone, for a machine that has half a minute."""


class Stage:
    """The folder in which a scene is played: `now`, put back to `before` for each run, since paths are absolute."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        self.scene = scene
        self.folder = folder
        self.now, self.output = folder / "now", folder / "output"
        self.output.mkdir(parents=True)
        self.now.mkdir()
        for name in ("home", "cache", "user", "tmp"):
            (self.now / name).mkdir()
        (self.now / "rows.csv").write_text(_rows(), encoding="utf-8")
        (self.now / "recipe.toml").write_text(scene.recipe, encoding="utf-8")
        (self.now / "before.toml").write_text(scene.before, encoding="utf-8")
        if scene.encoder:
            measured("benchmarks.fault_scenes:encoder", folder=str(self.now / "encoder"))

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the commands: nothing of theirs is written outside the folder."""
        places = {"FTKIT_HOME": "home", "FTKIT_CACHE": "cache", "HOME": "user", "TMPDIR": "tmp"}
        return {
            **{name: str(self.now / place) for name, place in places.items()},
            "FTKIT_FAULTS_MODULES": str(self.output / "modules.json"),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def keep(self) -> None:
        """From now on, `put_back` puts back what is there now."""
        shutil.rmtree(self.folder / "before", ignore_errors=True)
        shutil.copytree(self.now, self.folder / "before", symlinks=True, ignore=_sockets)

    def put_back(self) -> None:
        """Put the folder back as it was; nothing of it may run."""
        for name in os.listdir(self.now):
            path = self.now / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.folder / "before", self.now, symlinks=True, dirs_exist_ok=True)


def _sockets(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def encoder(folder: str) -> Numbers:
    """Write a tiny encoder with random weights; to be called in a process of its own."""
    from ftkit.testing.backbones import tiny_bert

    tiny_bert(Path(folder))
    return {}


def _rows() -> str:
    """Short reviews, good and bad, with some noise."""
    words = {
        "bad": ["broke", "cheap", "refund", "noisy", "cracked", "useless", "late", "rattles"],
        "good": ["sturdy", "bright", "easy", "perfect", "quiet", "solid", "quick", "happy"],
    }
    generator = random.Random(3)
    lines = ["text,label"]
    for number in range(300):
        label, other = generator.sample(sorted(words), 2)
        kinds = generator.choices([words[label], words[other], ["it", "the", "is", "and", "lamp"]], [4, 1, 4], k=9)
        lines.append(" ".join([*map(generator.choice, kinds), f"order {number}"]) + f",{label}")
    return "\n".join([*lines, ""])
