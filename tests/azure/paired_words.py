"""The toys' backbone trained by several processes together, without torch: a plugin of its own for pipelines with such trials."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit import plugins
from ftkit.contracts import Checkpoints, Data, Report, StopTrial
from ftkit.hookspecs import hookimpl
from ftkit.testing.toys import ToyClassifier, ToyWords

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class PairedWords(ToyWords):
    """`toy-words` in two processes: each waits for what the other decides, as processes with one model do."""

    name: ClassVar[str] = "paired-words"
    distributed: ClassVar[bool] = True

    def resume(self, data: Data, seed: int, report: Report, checkpoints: Checkpoints | None) -> ToyClassifier:
        if os.environ.get("WORLD_SIZE", "1") == "1":
            return super().resume(data, seed, report, checkpoints)
        pair = Pair()

        def reported(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            return bool(pair.decided(lambda: bool(report(epoch, probabilities, **numbers))))

        shared = checkpoints and SharedCheckpoints(pair, checkpoints)
        return super().resume(data, seed, reported, shared)  # type: ignore[safe-super]  # the class above has it


class Pair:
    """The line between two processes."""

    def __init__(self) -> None:
        place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        self._is_first = os.environ["RANK"] == "0"
        if self._is_first:
            with socket.create_server(place) as server:
                connection = server.accept()[0]
        else:
            connection = self._connected(place)
        self._line = connection.makefile("rw")

    def decided(self, decide: Callable[[], Any]) -> Any:
        """What the first process decides, in both. Raises: StopTrial in both; ConnectionError where the other is gone."""
        if self._is_first:
            try:
                decision = decide()
            except StopTrial:
                self._write("stop")
                raise
            self._write(decision)
            return decision
        if not (line := self._line.readline()):
            raise ConnectionError("the first process is gone")
        if (decision := json.loads(line)) == "stop":
            raise StopTrial
        return decision

    def _write(self, decision: Any) -> None:
        self._line.write(json.dumps(decision) + "\n")
        self._line.flush()

    @staticmethod
    def _connected(place: tuple[str, int]) -> socket.socket:
        while True:
            try:
                return socket.create_connection(place)
            except ConnectionRefusedError:
                time.sleep(0.05)


class SharedCheckpoints:
    """Checkpoints that the first process writes and both read."""

    def __init__(self, pair: Pair, own: Checkpoints) -> None:
        self._pair = pair
        self._own = own

    def latest(self) -> Path | None:
        folder = self._pair.decided(lambda: str(self._own.latest() or ""))
        return Path(folder) if folder else None

    def due(self) -> bool:
        return bool(self._pair.decided(self._own.due))

    def write(self, fill: Callable[[Path], Any]) -> None:
        self._pair.decided(lambda: self._own.write(fill))

    def discard(self, reason: str) -> None:
        self._pair.decided(lambda: self._own.discard(reason))


@hookimpl
def backbones() -> list[type[Any]]:
    return [PairedWords]


def install(folder: Path) -> None:
    """Make it a plugin beside the toys, in a folder that is in the import path of all processes."""
    about = folder / "ftkit_paired-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-paired\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[ftkit]\npaired = paired_words\n")
    shutil.copy(__file__, folder / "paired_words.py")
    plugins.load.cache_clear()
