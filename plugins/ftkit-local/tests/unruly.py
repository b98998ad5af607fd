"""A backbone for tests of what an endpoint does when a model misbehaves: its folder says how."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit import hookimpl
from ftkit.testing.toys import ToyClassifier, ToyWords


class Unruly:
    """A toy classifier that waits, fails or dies on certain texts."""

    def __init__(
        self, inner: ToyClassifier, delay: float, answers: int | None, hold: Path, wrong: bool = False
    ) -> None:
        self.inner, self.delay, self.answers, self.hold, self.wrong = inner, delay, answers, hold, wrong
        self.classes = inner.classes

    def probabilities(self, texts: list[str]) -> Any:
        time.sleep(self.delay)
        if "die" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        while "hold" in texts and self.hold.exists():
            time.sleep(0.01)
        if "raise" in texts:
            raise RuntimeError("the model cannot compute this text")
        probabilities = self.inner.probabilities(texts)
        if self.wrong:
            probabilities = probabilities[:, ::-1]
        return probabilities[: self.answers] if self.answers is not None else probabilities

    def save(self, folder: Path) -> None:
        self.inner.save(folder)


@dataclass(frozen=True, kw_only=True)
class UnrulyBackbone:
    """Reads behaviour.json: load (die, raise, exit), delay, answers (how many rows come out at most), hold (a file:
    while it is there, the text `hold` is not answered), and wrong (the probabilities in the wrong order)."""

    name: ClassVar[str] = "unruly"

    def fit(self, data: Any, seed: int, report: Any) -> Any:
        raise NotImplementedError

    def load(self, folder: Path) -> Unruly:
        how = json.loads((folder / "behaviour.json").read_text())
        match how.get("load"):
            case "die":
                print("about to be killed", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(7)
            case "raise":
                raise RuntimeError("no such weights")
            case "hang":
                time.sleep(3600)
        hold = Path(how.get("hold", folder / "hold"))
        return Unruly(ToyWords().load(folder), how.get("delay", 0.0), how.get("answers"), hold, how.get("wrong", False))


@hookimpl
def backbones() -> list[type[UnrulyBackbone]]:
    return [UnrulyBackbone]
