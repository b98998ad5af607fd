"""A backbone for tests of what serving brings to light: behaviour.json in its folder says how the model misbehaves."""

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

    def __init__(self, inner: ToyClassifier, how: dict[str, Any], scale: float) -> None:
        self.inner, self.how, self.scale = inner, how, scale
        self.classes = inner.classes
        self.calls = 0
        self.held = bytearray(b"x" * (how.get("memory", 0) * 2**20))

    def probabilities(self, texts: list[str]) -> Any:
        time.sleep(self.how.get("delay", 0.0))
        found = self.inner.probabilities(texts) ** self.scale
        found = found / found.sum(axis=1, keepdims=True)
        self.calls += 1
        for sign, does in self.how.get("on", {}).items():
            rows = [row for row, text in enumerate(texts) if sign in text]
            if rows:
                self._misbehave(does, found, rows)
        if len(texts) > 1 and "company" in self.how:  # as with a normalisation over the batch
            found = (1 - self.how["company"]) * found + self.how["company"] / found.shape[1]
        return found

    def _misbehave(self, does: str, found: Any, rows: list[int]) -> None:
        match does:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("the model cannot bear this text")
            case "nan":
                found[rows] = np.nan
            case "tie":
                found[rows] = (0.5, 0.5)
            case "double":
                found[rows] *= 2
            case "remember":
                self.scale = 0.5


@dataclass(frozen=True, kw_only=True)
class UnrulyBackbone:
    """Reads behaviour.json: on (what to do at which sign), company, delay, memory, network, reads, native, home, engines."""

    name: ClassVar[str] = "unruly-strict"
    engines: tuple[str, ...] = ()
    """Written into the bundle by the tests themselves: name and behaviour of each."""

    def fit(self, data: Any, seed: int, report: Any) -> Any:
        raise NotImplementedError

    def load(self, folder: Path) -> Unruly:
        how = json.loads((folder / "behaviour.json").read_text())
        if host := how.get("network"):
            with contextlib.suppress(OSError) if how.get("quietly") else contextlib.nullcontext():
                socket.create_connection((host, 443), timeout=5).close()
        for path in how.get("reads", []):
            Path(path).read_text()
        if (path := how.get("native")) and ctypes.CDLL(None).open(os.fsencode(path), os.O_RDONLY) < 0:
            raise RuntimeError(f"native code finds no {path}")
        scale = 1.0
        if how.get("home") and (Path.home() / "scale.json").exists():
            scale = json.loads((Path.home() / "scale.json").read_text())
        return Unruly(ToyWords().load(folder), how, scale)

    def export(self, folder: Path) -> None:
        raise NotImplementedError

    def load_engine(self, folder: Path, engine: str) -> Unruly:
        how = json.loads((folder / "behaviour.json").read_text())["engines"][engine]
        if how == "broken":
            raise RuntimeError("no such file")
        return Unruly(ToyWords().load(folder), how, how.get("scale", 1.0))


@hookimpl
def backbones() -> list[type[UnrulyBackbone]]:
    return [UnrulyBackbone]
