"""Whether the bundle holds everything that another machine needs."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit import files, scratch
from ftkit.bundle import bundle as bundles
from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.errors import BundleError
from ftkit.evaluation import option_checks, verdicts
from ftkit.evaluation.contenders import align_classes, defect, sample_rows
from ftkit.formatting import count, listing, printable, rounded
from ftkit.serving import server
from ftkit_strict.served_answers import distance_from_gate

CACHE_VARIABLES = (
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME"),
    *("TORCH_HOME", "NLTK_DATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
)
"""Environment variables that name the folders of downloads and settings on this machine."""


@dataclass(frozen=True, kw_only=True)
class Reload:
    """Passes when another machine can load the bundle and gets the same probabilities.

    Every file is compared with the manifest. Then the bundle is copied to another folder and loaded there by a fresh process
    with an empty home folder and without network, which may read nothing but the copy and installed software; everything
    else that it tries to reach is refused and reported. On Linux, where the system allows namespaces, network and original bundle
    are hidden from native code as well.
    """

    name: ClassVar[str] = "reload"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    rows: int = 32
    """How many test rows to compare; the run's seed draws them."""
    tolerance: float = 1e-4
    """How much a probability may differ from the one that the gate saw."""
    allow: tuple[Path, ...] = ()
    """Further files and folders that the model may read: those that every machine that serves it has."""
    seconds: float = 600.0
    """Time for the fresh process to load the bundle and answer."""

    def __post_init__(self) -> None:
        option_checks.at_least("rows", self.rows, 1)
        option_checks.in_range("tolerance", self.tolerance, 0, 1)
        option_checks.above_zero("seconds", self.seconds)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Load a copy of the candidate's bundle in a fresh process. Raises: OSError when there is no room for the copy."""
        import numpy as np

        try:
            opened = bundles.verify(candidate.bundle)
        except BundleError as error:
            return self._failed(error.what)
        if reason := defect(candidate):
            return self._failed(f"answers cannot be compared: {reason}")
        rows = sample_rows(candidate, self.rows)
        result = self._load_copy(opened, [candidate.data.test.texts[row] for row in rows])
        faults = []
        if result.get("hosts"):
            faults.append(f"it tried to reach {listing(result['hosts'], 3)}")
        if result.get("files"):
            faults.append(f"it read {listing(result['files'], 3)}, which other machines do not have")
        if "error" in result:
            return self._failed("; ".join([f"it does not load: {printable(result['error'])}", *faults]))
        if result["hash"] != opened.hash:
            faults.append("the copy has another hash")
        loaded = np.asarray(result["probabilities"], dtype=np.float64).reshape(len(rows), -1)
        loaded = align_classes(loaded, result["classes"], candidate.data.classes, candidate.data.task)
        expected = np.asarray(candidate.probabilities, dtype=np.float64)[rows]  # (rows, classes)
        finite = bool(np.isfinite(loaded).all())
        difference = float(abs(loaded - expected).max()) if finite else math.inf
        if not finite:
            faults.append("it gives probabilities that are not finite numbers")
        elif difference > self.tolerance:
            limit = rounded(self.tolerance)
            faults.append(f"its probabilities differ by up to {rounded(difference)} from the gate's (at most {limit})")
        files_checked = len(opened.manifest["files"])
        numbers = verdicts.finite_numbers(
            {
                "rows": len(rows),
                "files": files_checked,
                "max_difference": difference,
                "tolerance": self.tolerance,
                "isolated": result["isolated"],
            }
        )
        if faults:
            return self._failed("; ".join(faults), numbers)
        sentence = (
            f"{count(files_checked, 'file')} as the manifest says; the copy in a fresh process without network and with an "
            f"empty home folder gives {count(len(rows), 'test row')} probabilities {distance_from_gate(difference)}"
        )
        return Verdict(self.name, "passed", sentence, numbers)

    def _failed(self, reason: str, numbers: Mapping[str, float] | None = None) -> Verdict:
        return Verdict(self.name, "failed", f"the bundle would not work on another machine: {reason}", numbers or {})

    def _load_copy(self, opened: bundles.Bundle, texts: Sequence[str]) -> Mapping[str, Any]:
        """What a fresh process computes for these texts from a copy of the bundle, or its error."""
        with scratch.folder() as name:
            folder = name.resolve()
            home, copy = folder / "home", folder / "moved" / "bundle"
            (home / "tmp").mkdir(parents=True)
            shutil.copytree(opened.folder, copy)
            hidden = [path for path in (opened.folder.resolve(), *_download_folders()) if _can_be_hidden(path, folder)]
            job = {
                "bundle": str(copy),
                "texts": list(texts),
                "hidden": [str(path) for path in hidden],
                "allowed": [str(folder), *(str(path.absolute()) for path in self.allow)],
            }
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            log, result = folder / "log", folder / "result.json"
            program = [sys.executable, "-P", "-m", "ftkit_strict.reload_process", str(folder / "job.json"), str(result)]
            for _ in range(
                2
            ):  # one that something else has killed is run again; where the bundle is the reason, it is killed again
                with log.open("wb") as output:
                    try:
                        ended = subprocess.run(
                            program,
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=output,
                            cwd=home,
                            env=_environment(home),
                            timeout=self.seconds,
                            check=False,
                        )
                    except subprocess.TimeoutExpired:
                        return {"error": f"it did not answer within {self.seconds:g} s"}
                if ended.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
                    break
            if not result.is_file():
                last = files.tail(log, 1)
                return {
                    "error": server.death(ended.returncode) + (f"; the last line of its log: {last}" if last else "")
                }
            return json.loads(result.read_text(encoding="utf-8"))


def _environment(home: Path) -> dict[str, str]:
    """The environment of a machine that has the same software and nothing else."""
    variables = {name: value for name, value in server.environment().items() if name not in CACHE_VARIABLES}
    if site.ENABLE_USER_SITE:  # software installed for this user lies below the home folder that is replaced
        variables["PYTHONUSERBASE"] = site.getuserbase()
    folders = {"HOME": home, "TMPDIR": home / "tmp", "FTKIT_HOME": home / "ftkit", "FTKIT_CACHE": home / "cache"}
    return {**variables, **{name: str(path) for name, path in folders.items()}}


def _download_folders() -> list[Path]:
    """Folders with what this machine has downloaded."""
    hub = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return [Path(hub).expanduser().resolve(), files.cache().resolve()]


def _can_be_hidden(path: Path, folder: Path) -> bool:
    """Whether hiding a path leaves the fresh process its own folder and all software."""
    from ftkit_strict.sandbox import software_folders

    return not any(Path(needed).is_relative_to(path) for needed in [str(folder), *software_folders()])
