"""A data set and a backbone that train in a second, for tests of platforms and runners.

Both are real: the texts are random, and the model learns. `install` makes them a plugin that worker processes find.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ftkit import plugins
from ftkit.contracts import TASKS, Checkpoints, Data, EndTraining, Report, Task
from ftkit.contracts.space import Choice, Dimension
from ftkit.errors import BundleError, CheckpointError, StageError
from ftkit.evaluation import decisions
from ftkit.hookspecs import hookimpl
from ftkit.testing.toy_reviews import ToyReviews

if TYPE_CHECKING:
    import numpy as np

    from ftkit.recipe.loader import Plan

HOLD = "FTKIT_TOYS_HOLD"
"""Variable of a training process that names a file: the second epoch and later ones wait while there is one."""
_BUCKETS = 256
_STEPS = 10  # of an epoch


@dataclass(frozen=True)
class ToyClassifier:
    """A linear model over hashed words."""

    classes: tuple[str, ...]
    weights: np.ndarray  # (buckets, classes)
    task: Task = "single-label"

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        return _activation(_features(texts) @ self.weights, self.task)

    def save(self, folder: Path) -> None:
        import numpy as np

        np.save(folder / "weights.npy", self.weights, allow_pickle=False)
        (folder / "classes.json").write_text(json.dumps(self.classes), encoding="utf-8")
        if self.task != "single-label":
            (folder / "task.json").write_text(json.dumps(self.task), encoding="utf-8")


Fault = Literal["none", "error", "memory", "crash", "exit", "hang", "diverge", "silent", "disk", "checkpoint", "stage"]


@dataclass(frozen=True, kw_only=True)
class ToyWords:
    """Softmax or logistic regression over hashed words, with options to fail in the ways that real training fails."""

    name: ClassVar[str] = "toy-words"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    ends_early: ClassVar[bool] = True
    learning_rate: float = 1.0
    """Step size of the gradient descent."""
    epochs: int = 3
    """Passes over the training rows."""
    decay: float = 0.0
    """Weight decay."""
    delay: float = 0.0
    """Seconds to wait in each epoch."""
    fault: Fault = "none"
    """How to fail: with an exception, killed as when memory is short, with a segmentation fault, and so on."""
    fault_epoch: int = 2
    """The epoch in which to fail."""
    fault_after: int = 0
    """How many attempts with these values succeed before the first failure."""
    fault_times: int = 99
    """How many attempts with these values fail; later attempts succeed."""
    fault_above: int = -1
    """Fail only with seeds above this number."""
    engines: tuple[Literal["half"], ...] = ()
    """Engines to export: `half`, whose weights are rounded to 16 bits."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")
        if self.epochs < 1:
            raise ValueError("epochs must be at least 1")

    def fit(self, data: Data, seed: int, report: Report) -> ToyClassifier:
        return self.resume(data, seed, report, None)

    def resume(self, data: Data, seed: int, report: Report, checkpoints: Checkpoints | None) -> ToyClassifier:
        import numpy as np
        from safetensors.numpy import load_file, save_file

        assert not len(data.test), "training must not see the test split"
        features = _features(data.train.texts)
        labels = decisions.targets(data.train.labels, len(data.classes), data.task)
        targets = labels if labels.ndim == 2 else np.eye(len(data.classes))[labels]
        weights = np.random.default_rng(seed).normal(0, 0.5, (_BUCKETS, len(data.classes)))
        best, first = weights, 0
        if checkpoints and (folder := checkpoints.latest()):
            state = load_file(folder / "state.safetensors")
            weights, best, first = state["weights"], state["best"], int(state["step"])
        for step in range(first, _STEPS * self.epochs):
            epoch = step // _STEPS + 1
            if checkpoints and checkpoints.due():
                state = {"weights": weights, "best": best, "step": np.asarray(step)}
                checkpoints.write(lambda folder: save_file(state, folder / "state.safetensors"))  # noqa: B023
            if step % _STEPS == 0:
                time.sleep(self.delay)
                while epoch > 1 and (hold := os.environ.get(HOLD)) and Path(hold).exists():
                    time.sleep(0.02)
                if self.fault != "none" and epoch == self.fault_epoch and seed > self.fault_above and self._fails(data):
                    _fail(self.fault)
                    if self.fault == "silent":
                        return ToyClassifier(data.classes, weights, data.task)
                    if self.fault == "diverge":
                        weights = weights * np.nan
            error = _activation(features @ weights, data.task) - targets
            weights = weights - self.learning_rate * (features.T @ error / len(targets) + self.decay * weights)
            if self.fault != "silent" and step % _STEPS == _STEPS - 1:
                probabilities = ToyClassifier(data.classes, weights, data.task).probabilities(data.valid.texts)
                try:
                    best = weights if report(epoch, probabilities, train_loss=float(np.abs(error).mean())) else best
                except EndTraining as end:
                    best = weights if end.best else best
                    break
        return ToyClassifier(data.classes, best, data.task)

    def load(self, folder: Path) -> ToyClassifier:
        import numpy as np

        try:
            classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
            path = folder / "task.json"
            task: Task = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else "single-label"
            return ToyClassifier(tuple(classes), np.load(folder / "weights.npy", allow_pickle=False), task)
        except (OSError, ValueError) as error:
            raise BundleError("the toy model cannot be read", where=str(folder)) from error

    def export(self, folder: Path) -> None:
        import numpy as np

        rounded = self.load(folder).weights.astype(np.float16)
        np.save(folder / "half.npy", rounded, allow_pickle=False)

    def load_engine(self, folder: Path, engine: str) -> ToyClassifier:
        import numpy as np

        if not (folder / f"{engine}.npy").is_file():
            raise BundleError(f"the toy model has no engine {engine!r}", where=str(folder))
        return dataclasses.replace(self.load(folder), weights=np.load(folder / f"{engine}.npy", allow_pickle=False))

    def _fails(self, data: Data) -> bool:
        """Whether this attempt fails. A file counts the attempts, because each is a process of its own."""
        assert data.cache is not None
        counter = data.cache / f"faults-{zlib.crc32(repr(self).encode())}"
        with counter.open("a") as file:
            file.write("x")
        return self.fault_after < counter.stat().st_size <= self.fault_after + self.fault_times


@dataclass(frozen=True, kw_only=True)
class ToySpace:
    """Six combinations of the toy backbone's step size and decay."""

    name: ClassVar[str] = "toy"

    def dimensions(self) -> Mapping[str, Dimension]:
        return {"learning_rate": Choice((0.1, 1.0, 10.0)), "decay": Choice((0.0, 0.01))}


@hookimpl
def datasets() -> list[type[Any]]:
    return [ToyReviews]


@hookimpl
def backbones() -> list[type[Any]]:
    return [ToyWords]


@hookimpl
def search_spaces() -> list[type[Any]]:
    return [ToySpace]


def plan(folder: Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a recipe with the toys: a few seconds of work, on this machine unless overridden. Needs `install`."""
    from ftkit.recipe import loader

    path = folder / "toy.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return loader.load(path, overrides=overrides)


RECIPE = """\
name = "toy"
seed = 7

[dataset]
use = "toy-reviews"

[backbone]
use = "toy-words"

[search]
metric = "roc_auc"
trials = 2

[run]
on = "local"
"""


@contextmanager
def install(folder: Path) -> Iterator[None]:
    """Make the toys a plugin, for this process and the processes it starts; `folder` is added to their import path."""
    metadata = folder / "ftkit_toys-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-toys\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[ftkit]\ntoys = ftkit.testing.toys\n")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
    sys.path.insert(0, str(folder))
    plugins.load.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        plugins.load.cache_clear()


def _fail(fault: Fault) -> None:
    match fault:
        case "error":
            raise RuntimeError("told to fail")
        case "memory":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(3600)
        case "disk":
            raise OSError(28, os.strerror(28))
        case "checkpoint":
            raise CheckpointError("the hub cannot be reached", where="toy-words", hint="Set checkpoint to a folder.")
        case "stage":
            raise StageError("the loss is no number", where="toy-words", hint="Lower the learning rate.")


def _features(texts: Sequence[str]) -> np.ndarray:
    """Counts of hashed words, (texts, buckets)."""
    import numpy as np

    counts = np.zeros((len(texts), _BUCKETS))
    for row, text in enumerate(texts):
        for word in text.split():
            counts[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % _BUCKETS] += 1
    return counts


def _activation(scores: np.ndarray, task: Task) -> np.ndarray:
    import numpy as np

    if task == "multi-label":
        return 0.5 * (1 + np.tanh(scores / 2))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
