"""The checkpoints of one trial on disk, from which an interrupted training goes on.

TRIAL/checkpoints/
  000007/            written whole or not at all; the last two are kept
    backbone/        what the backbone wrote
    valid.safetensors   the validation probabilities of the best evaluation so far
    manifest.json    the evaluations so far, of what trial it is, and the SHA-256 of every file
  set-aside-000006/  one that could not be used
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ftkit import files, strict_json
from ftkit._version import __version__
from ftkit.contracts.checkpoints import TrialInterrupted
from ftkit.errors import in_one_line

if TYPE_CHECKING:
    import numpy as np

FOLDER = "checkpoints"
"""The folder of the checkpoints, in that of the trial."""

KEPT = 2

History = Sequence[Mapping[str, float]]
"""The evaluations of a trial, oldest first."""

Resumed = Callable[[History], None]
"""Called with the evaluations before a checkpoint when the training goes on from it, and with none when it begins anew after all."""

log = logging.getLogger(__name__)


class Evaluations(Protocol):
    """The evaluations of a trial, which a checkpoint remembers as well."""

    @property
    def history(self) -> History:
        """All evaluations so far."""
        ...

    def best_probabilities(self) -> np.ndarray | None:
        """Those of the best evaluation so far, (validation rows, classes); None before the first."""
        ...

    def restore(self, history: History, best: np.ndarray | None) -> None:
        """Go on after these evaluations."""
        ...


class TrialCheckpoints:
    """`ftkit.contracts.Checkpoints` of one trial."""

    evaluations: Evaluations
    """Set before the training begins."""

    def __init__(self, folder: Path, key: str, seconds: float, notice: Callable[[str], None], resumed: Resumed) -> None:
        """`key` is that of the trial, see `key_of`; a checkpoint is due every so many seconds; `notice` takes sentences for the user."""
        self.begun = False
        """Whether there may be something to write: the training is about to take its first step, or has."""
        self.interrupted = False
        """Whether this process is to end: the next step is its last."""
        self.ended = False
        """Whether the training was broken off by `TrialInterrupted`."""
        self._folder = folder / FOLDER
        self._key = key
        self._seconds = seconds
        self._notice = notice
        self._resumed = resumed
        self._written_at = time.monotonic()
        self._number = 0
        self._refused = False

    def latest(self) -> Path | None:
        """The backbone's folder in the newest checkpoint that can be used; those that cannot are set aside."""
        for partial in self._folder.glob(".*"):
            shutil.rmtree(partial, ignore_errors=True)
        checkpoint = None
        for folder in reversed(self._present()):
            self._number = max(self._number, int(folder.name))
            if checkpoint is None:
                if problem := _problem(folder, self._key):
                    self._set_aside(folder, problem)
                else:
                    checkpoint = folder
        if checkpoint is not None:
            self._restore(checkpoint)
        self.begun, self._written_at = True, time.monotonic()
        return checkpoint / "backbone" if checkpoint else None

    def due(self) -> bool:
        """Whether it is time, or this process is to end."""
        return self.interrupted or time.monotonic() - self._written_at >= self._seconds

    def write(self, fill: Callable[[Path], None]) -> None:
        """Write a checkpoint, and remove all but the last two; what prevents that does not end the training."""
        begun = time.monotonic()
        try:
            with files.atomic_folder(self._folder / f"{self._number + 1:06d}") as folder:
                (folder / "backbone").mkdir()
                fill(folder / "backbone")
                self._write_own(folder)
            self._number += 1
            log.info("checkpoint %d written in %.1f s", self._number, time.monotonic() - begun)
            for older in self._present()[:-KEPT]:
                shutil.rmtree(older, ignore_errors=True)
        except Exception as error:  # also safetensors' own, which is no OSError
            log.warning("no checkpoint was written: %s", in_one_line(error))
            if not self._refused:
                self._notice(f"no checkpoint could be written, and the training goes on: {in_one_line(error)}")
            self._refused = True
        self._written_at = time.monotonic()
        if self.interrupted:
            self.ended = True
            raise TrialInterrupted("the process was asked to end")

    def discard(self, reason: str) -> None:
        """Set aside all checkpoints, and begin anew."""
        for folder in self._present():
            self._set_aside(folder, reason)
        self._go_on_after((), None)

    def _present(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("[0-9]*") if path.is_dir())

    def _set_aside(self, folder: Path, reason: str) -> None:
        log.warning("checkpoint %s is set aside: %s", folder.name, reason)
        self._notice(f"checkpoint {folder.name} is not used: {reason}")
        aside = folder.with_name(f"set-aside-{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)

    def _write_own(self, folder: Path) -> None:
        best = self.evaluations.best_probabilities()
        if best is not None:
            from safetensors.numpy import save_file

            save_file({"probabilities": best}, folder / "valid.safetensors")
        manifest: dict[str, Any] = {
            "trial": self._key,
            "ftkit": __version__,
            "evaluations": self.evaluations.history,
            "files": _digests(folder),
        }
        manifest["digest"] = _digest(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def _restore(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        manifest = strict_json.read_object(folder / "manifest.json")
        best = folder / "valid.safetensors"
        probabilities = load_file(best)["probabilities"] if best.is_file() else None
        self._go_on_after(manifest["evaluations"], probabilities)
        log.info("goes on from checkpoint %s", folder.name)

    def _go_on_after(self, history: History, best: np.ndarray | None) -> None:
        self.evaluations.restore(history, best)
        self._resumed(history)


def key_of(run: str, number: int, values: Mapping[str, Any], seed: int) -> str:
    """What the checkpoints of a trial have in common, and those of no other."""
    return hashlib.sha256(json.dumps([run, number, dict(values), seed], sort_keys=True).encode()).hexdigest()


def remove(folder: Path) -> None:
    """Remove the checkpoints of a trial, given its folder."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _problem(folder: Path, key: str) -> str:
    """Why a checkpoint cannot be used; empty if it can."""
    try:
        manifest = strict_json.read_object(folder / "manifest.json")
        if manifest["trial"] != key:
            return "it is of a trial with other values"
        if manifest["ftkit"] != __version__:
            return f"it was written by ftkit {manifest['ftkit']}, this is {__version__}"
        if manifest.pop("digest") != _digest(manifest):
            return "its manifest is damaged"
        present = _digests(folder)
        del present["manifest.json"]
        if present != manifest["files"]:
            return "its files are damaged"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be read ({in_one_line(error, 80)})"
    return ""


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
