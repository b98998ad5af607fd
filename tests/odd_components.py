"""Sound components of every kind of which one verb goes wrong, as the options `verb` and `wrong` say; for `test_wrong_verbs`."""

from __future__ import annotations

import functools
import inspect
import io
import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ftkit import files, hookimpl, options, runner
from ftkit.contracts import (
    Contender,
    Data,
    Deployment,
    Emit,
    Endpoint,
    Health,
    Inspection,
    Lineage,
    Outcome,
    Report,
    Verdict,
    Version,
)
from ftkit.contracts.plan import Plan
from ftkit.contracts.space import Choice, Dimension
from ftkit.remote.trial_step import train
from ftkit.runs.ledger import Ledger
from ftkit.testing.toys import ToyClassifier, ToyReviews, ToyWords

RECIPE = """\
name = "odd"
seed = 7

[dataset]
use = "odd-reviews"

[backbone]
use = "odd-words"

[search]
metric = "roc_auc"
trials = 1
space.use = "odd-space"

[[promote]]
use = "odd-preset"

[registry]
use = "odd-registry"

[deploy]
use = "odd-deployer"

[rollout]
bake = 0.0
poll = 0.001

[run]
on = "odd-platform"
"""
"""A recipe that uses one of every kind."""


class ShyError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Shy:
    """An object that raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class OwnExit(BaseException):
    """An exception beside `Exception`."""


def _items(*values: Any) -> Any:
    yield from values


RETURNED: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "nothing asked": lambda: NotImplemented,
    "true": lambda: True,
    "a number": lambda: 42,
    "NaN": lambda: float("nan"),
    "empty text": lambda: "",
    "a text": lambda: "odd",
    "a huge text": lambda: "x" * 10**6,
    "bytes": lambda: b"odd",
    "empty list": list,
    "list of None": lambda: [None],
    "list of texts": lambda: ["odd", "even"],
    "nested list": lambda: [[[]]],
    "empty tuple": tuple,
    "pair": lambda: (1, 2),
    "empty mapping": dict,
    "mapping": lambda: {"odd": "even"},
    "mapping of numbers": lambda: {1: 2},
    "set": lambda: {1, 2},
    "a class": lambda: ToyReviews,
    "a class of results": lambda: Version,
    "the data class": lambda: Data,
    "a function": lambda: len,
    "a module": lambda: json,
    "an exception": lambda: ValueError("returned"),
    "generator": lambda: _items("odd"),
    "generator that raises": lambda: (1 / each for each in [0]),
    "endless": itertools.count,
    "plain object": object,
    "shy object": Shy,
    "a path": lambda: Path("odd"),
    "array of NaN": lambda: np.full((3, 2), np.nan),
    "array of objects": lambda: np.array([None, "a"], dtype=object),
    "array of no rows": lambda: np.zeros((0, 2)),
    "wrong shape": lambda: np.ones((1, 2, 3)),
    "scalar array": lambda: np.float64(1.0),
    "another component": ToyWords,
    "a version of numbers": lambda: Version(1, 2),  # type: ignore[arg-type]
    "a version of None": lambda: Version("odd", None),  # type: ignore[arg-type]
    "unknown health": lambda: Health("fine"),  # type: ignore[arg-type]
    "health without a text": lambda: Health("ready", None),  # type: ignore[arg-type]
    "endpoint of None": lambda: Endpoint(None, None),  # type: ignore[arg-type]
    "endpoint of texts": lambda: Endpoint("odd", "odd:", deployments=("blue",)),  # type: ignore[arg-type]
    "share in words": lambda: Endpoint("odd", "odd:", deployments=(Deployment("a", "all", "ready"),)),  # type: ignore[arg-type]
    "unknown verdict": lambda: Verdict("odd-test", "fine", "It is fine."),  # type: ignore[arg-type]
    "verdict of words": lambda: Verdict("odd-test", "passed", "It is fine.", {"share": "most"}),  # type: ignore[dict-item]
    "inspection of words": lambda: Inspection({"cut": "some"}, [1]),  # type: ignore[dict-item, list-item]
    "classifier of nothing": lambda: ToyClassifier((), np.zeros((256, 0))),
    "classifier of other classes": lambda: ToyClassifier(("a", "b", "c"), np.zeros((256, 3))),
}
"""Values that a verb returns in place of its own, by name."""


RETURN_NOTHING = ("foresee", "track", "create", "set_traffic", "export", "save")
"""Verbs whose value is not used: they do their work first."""


def _raise(error: BaseException) -> Any:
    raise error


RAISED: dict[str, Callable[[], BaseException]] = {
    "KeyError": lambda: KeyError("weights"),
    "ValueError": lambda: ValueError("odd"),
    "empty ValueError": ValueError,
    "TypeError": lambda: TypeError("odd"),
    "AttributeError": lambda: AttributeError("odd"),
    "IndexError": lambda: IndexError("odd"),
    "AssertionError": AssertionError,
    "NotImplementedError": NotImplementedError,
    "StopIteration": StopIteration,
    "RecursionError": lambda: RecursionError("odd"),
    "MemoryError": MemoryError,
    "OSError": lambda: OSError(5, "odd"),
    "FileNotFoundError": lambda: FileNotFoundError(2, "odd", "odd.bin"),
    "PermissionError": lambda: PermissionError(13, "odd"),
    "ConnectionError": lambda: ConnectionResetError(104, "odd"),
    "BrokenPipeError": lambda: BrokenPipeError(32, "odd"),
    "TimeoutError": lambda: TimeoutError("odd"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    "ImportError": lambda: ImportError("odd"),
    "SystemExit": lambda: SystemExit(0),
    "SystemExit with a text": lambda: SystemExit("odd"),
    "an exception group": lambda: ExceptionGroup("odd", [ValueError("one"), KeyError("two")]),
    "shy exception": ShyError,
    "beside Exception": lambda: OwnExit("odd"),
    "huge message": lambda: RuntimeError("odd " * 250_000),
    "many lines": lambda: RuntimeError("odd\n" * 50),
    "secret": lambda: RuntimeError("password=hunter2hunter2"),
    "warning": lambda: UserWarning("odd"),
    "odd arguments": lambda: RuntimeError(None, Shy),
}
"""What a verb raises, by name."""

WRONG: dict[str, Callable[[], Any]] = {
    **{f"returns {name}": make for name, make in RETURNED.items()},
    **{f"raises {name}": lambda make=make: _raise(make()) for name, make in RAISED.items()},  # type: ignore[misc]
}


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Options of a component that goes wrong."""

    verb: str = ""
    """The verb that goes wrong; empty for none."""
    wrong: str = ""
    """How, as in `WRONG`."""


def odd(kind: type[Any]) -> type[Any]:
    """Lets every verb of a component go wrong when its options say so."""
    for verb in [name for name in dir(kind) if not name.startswith("_") and inspect.isfunction(getattr(kind, name))]:
        setattr(kind, verb, _either(getattr(kind, verb), verb))
    return kind


def _either(sound: Callable[..., Any], verb: str) -> Callable[..., Any]:
    @functools.wraps(sound)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.verb == verb and verb not in RETURN_NOTHING:
            return WRONG[self.wrong]()
        done = sound(self, *arguments, **named)
        return WRONG[self.wrong]() if self.verb == verb else done

    return call


@odd
@dataclass(frozen=True, kw_only=True)
class OddReviews(ToyReviews, Odd):
    name: ClassVar[str] = "odd-reviews"
    rows: int = 60

    def files(self) -> Mapping[str, Path]:
        return {}


@dataclass(frozen=True)
class OddClassifier(ToyClassifier):
    verb: str = ""
    wrong: str = ""

    def probabilities(self, texts: Sequence[str]) -> Any:
        return WRONG[self.wrong]() if self.verb == "probabilities" else super().probabilities(texts)

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.verb == "save":
            WRONG[self.wrong]()
        files.write_json(folder / "odd.json", {"verb": self.verb, "wrong": self.wrong})


@odd
@dataclass(frozen=True, kw_only=True)
class OddWords(ToyWords, Odd):
    name: ClassVar[str] = "odd-words"
    epochs: int = 1

    def fit(self, data: Data, seed: int, report: Report) -> Any:
        trained = super().fit(data, seed, report)
        return OddClassifier(trained.classes, trained.weights, trained.task, self.verb, self.wrong)

    def load(self, folder: Path) -> Any:
        loaded = super().load(folder)
        wrong = json.loads((folder / "odd.json").read_text())  # a bundle is loaded by a backbone of its defaults
        return (
            WRONG[wrong["wrong"]]()
            if wrong["verb"] == "load"
            else OddClassifier(loaded.classes, loaded.weights, loaded.task, **wrong)
        )

    def inspect(self, data: Data) -> Inspection:
        return Inspection({"cut": 0.0})

    def adapted(self, data: Data) -> OddWords:
        return self

    def foresee(self, data: Data) -> None:
        pass


@odd
@dataclass(frozen=True, kw_only=True)
class OddSpace(Odd):
    name: ClassVar[str] = "odd-space"

    def dimensions(self) -> Mapping[str, Dimension]:
        return {"decay": Choice((0.0, 0.1))}


@odd
@dataclass(frozen=True, kw_only=True)
class OddTest(Odd):
    name: ClassVar[str] = "odd-test"

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        return Verdict(self.name, "passed", "All is well.")

    def foresee(self, data: Data) -> None:
        pass


@odd
@dataclass(frozen=True, kw_only=True)
class OddPreset(Odd):
    name: ClassVar[str] = "odd-preset"

    def tests(self) -> Sequence[Any]:
        return [OddTest()]


@odd
@dataclass(frozen=True, kw_only=True)
class OddRegistry(Odd):
    """Keeps one version in a folder."""

    name: ClassVar[str] = "odd-registry"
    model: str = "odd"

    @property
    def _folder(self) -> Path:
        return files.home() / "odd-registry"

    def track(self, lineage: Lineage) -> None:
        pass

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        shutil.copytree(bundle, self._folder / "1", dirs_exist_ok=True)
        return Version(self.model, "1", bundle_hash=lineage.bundle_hash, run=lineage.run)

    def promote(self, version: str) -> Version:
        (self._folder / "champion").write_text(version)
        return Version(self.model, version)

    def champion(self) -> Version | None:
        return next((each for each in self.versions() if (self._folder / "champion").exists()), None)

    def fetch(self, version: str, folder: Path) -> Path:
        return Path(shutil.copytree(self._folder / version, folder / "bundle"))

    def versions(self) -> Sequence[Version]:
        if not (self._folder / "1").exists():
            return []
        return [Version(self.model, "1", bundle_hash=files.sha256(self._folder / "1" / "manifest.json"))]


@odd
@dataclass(frozen=True, kw_only=True)
class OddDeployer(Odd):
    """Keeps deployments and traffic in a file."""

    name: ClassVar[str] = "odd-deployer"
    endpoint: str = "odd"

    def _state(self) -> dict[str, Any]:
        path = files.home() / "odd-endpoint.json"
        return json.loads(path.read_text()) if path.exists() else {"traffic": {}, "bundles": {}}

    def _write(self, state: dict[str, Any]) -> None:
        files.write_json(files.home() / "odd-endpoint.json", state)

    def prepare(self) -> Endpoint:
        return self._endpoint()

    def create(self, deployment: str, bundle: Path) -> None:
        state = self._state()
        state["bundles"][deployment] = files.sha256(bundle / "manifest.json")
        self._write(state)

    def health(self, deployment: str) -> Health:
        return Health("ready")

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        return ["good"] * len(request["data"])

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        self._write({**self._state(), "traffic": dict(shares)})

    def delete(self, deployment: str) -> None:
        state = self._state()
        state["bundles"].pop(deployment, None)
        self._write(state)

    def describe(self) -> Endpoint | None:
        return self._endpoint()

    def logs(self, deployment: str, lines: int = 100) -> str:
        return "a line"

    def stop(self) -> None:
        self._write({"traffic": {}, "bundles": {}})

    def _endpoint(self) -> Endpoint:
        state = self._state()
        deployments = (
            Deployment(name, state["traffic"].get(name, 0), "ready", digest)
            for name, digest in state["bundles"].items()
        )
        return Endpoint(self.endpoint, "odd:", deployments=tuple(deployments))


@odd
@dataclass(frozen=True, kw_only=True)
class OddPlatform(Odd):
    """Trains in this process."""

    name: ClassVar[str] = "odd-platform"

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        return runner.carry_out(plan, emit, _search)

    def refusals(self, plan: Plan) -> Sequence[options.Mistake]:
        return []

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        return [("step", "does it")]

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        return {"name": "odd"}


def _search(plan: Plan, ledger: Ledger, emit: Emit) -> Any:
    for number in range(plan.search.trials):
        data = ledger.data(("train", "valid"))
        folder = ledger.trial_folder(number)
        values = {"decay": 0.1} if plan.search.space else {}
        place = f"trials/{number:03d}"
        with redirect_stderr(io.StringIO()):  # as a process of its own, which has a log
            trial = train(plan, data, folder, number=number, values=values, seed=1, emit=emit, place=place)
        ledger.record_trial(trial)
    return ledger.trials()


@hookimpl
def datasets() -> list[type[Any]]:
    return [OddReviews]


@hookimpl
def backbones() -> list[type[Any]]:
    return [OddWords]


@hookimpl
def search_spaces() -> list[type[Any]]:
    return [OddSpace]


@hookimpl
def promotion_tests() -> list[type[Any]]:
    return [OddTest]


@hookimpl
def promotion_presets() -> list[type[Any]]:
    return [OddPreset]


@hookimpl
def registries() -> list[type[Any]]:
    return [OddRegistry]


@hookimpl
def deployers() -> list[type[Any]]:
    return [OddDeployer]


@hookimpl
def platforms() -> list[type[Any]]:
    return [OddPlatform]
