"""A backbone for tests of served models: behaviour.json in its folder says how the model misbehaves."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ftkit import hookimpl
from ftkit.testing.toys import ToyClassifier, ToyWords


class Unruly:
    """A toy classifier with a fault."""

    def __init__(self, inner: ToyClassifier, behaviour: dict[str, Any], scale: float) -> None:
        self.inner, self.behaviour, self.scale = inner, behaviour, scale
        self.classes = inner.classes
        self.calls = 0
        self.held = bytearray(b"x" * (behaviour.get("memory", 0) * 2**20))

    def probabilities(self, texts: list[str]) -> Any:
        time.sleep(self.behaviour.get("delay", 0.0))
        scores = self.inner.probabilities(texts) ** self.scale
        scores = scores / scores.sum(axis=1, keepdims=True)
        self.calls += 1
        for word, fault in self.behaviour.get("on", {}).items():
            rows = [row for row, text in enumerate(texts) if word in text]
            if rows:
                self._misbehave(fault, scores, rows)
        if len(texts) > 1 and "company" in self.behaviour:  # as with a normalisation over the batch
            scores = (1 - self.behaviour["company"]) * scores + self.behaviour["company"] / scores.shape[1]
        return scores

    def save(self, folder: Path) -> None:
        """Write the toy classifier: its faults are in the bundle already."""
        self.inner.save(folder)

    def _misbehave(self, fault: str, scores: Any, rows: list[int]) -> None:
        match fault:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("the model fails on this text")
            case "nan":
                scores[rows] = np.nan
            case "tie":
                scores[rows] = (0.5, 0.5)
            case "double":
                scores[rows] *= 2
            case "remember":
                self.scale = 0.5


@dataclass(frozen=True, kw_only=True)
class UnrulyBackbone:
    """Reads behaviour.json: on (which fault at which word), company, delay, memory, network, reads, native, home, engines."""

    name: ClassVar[str] = "unruly-strict"
    engines: tuple[str, ...] = ()
    """Written into the bundle by the tests: the behaviour of each engine by its name."""

    def fit(self, data: Any, seed: int, report: Any) -> Any:
        raise NotImplementedError

    def load(self, folder: Path) -> Unruly:
        behaviour = json.loads((folder / "behaviour.json").read_text())
        if host := behaviour.get("network"):
            with contextlib.suppress(OSError) if behaviour.get("quietly") else contextlib.nullcontext():
                socket.create_connection((host, 443), timeout=5).close()
        for path in behaviour.get("reads", []):
            Path(path).read_text()
        if (path := behaviour.get("native")) and ctypes.CDLL(None).open(os.fsencode(path), os.O_RDONLY) < 0:
            raise RuntimeError(f"native code finds no {path}")
        scale = 1.0
        if behaviour.get("home") and (Path.home() / "scale.json").exists():
            scale = json.loads((Path.home() / "scale.json").read_text())
        return Unruly(ToyWords().load(folder), behaviour, scale)

    def export(self, folder: Path) -> None:
        raise NotImplementedError

    def load_engine(self, folder: Path, engine: str) -> Unruly:
        behaviour = json.loads((folder / "behaviour.json").read_text())["engines"][engine]
        if behaviour == "broken":
            raise RuntimeError("no such file")
        return Unruly(ToyWords().load(folder), behaviour, behaviour.get("scale", 1.0))


@hookimpl
def backbones() -> list[type[UnrulyBackbone]]:
    return [UnrulyBackbone]
