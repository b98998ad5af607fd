"""Whether the bundle is all that another machine needs."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit import files
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Contender, Verdict
from ftkit.errors import BundleError
from ftkit.formatting import count, listing, printable, rounded
from ftkit.serving import server
from ftkit_strict import scoring
from ftkit_strict.asking import sample
from ftkit_strict.served_answers import distance

PLACES = (
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME"),
    *("TORCH_HOME", "NLTK_DATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
)
"""Variables that lead to what this machine has gathered."""


@dataclass(frozen=True, kw_only=True)
class Reload:
    """Passes when the bundle loads elsewhere as it is here: verified, moved, alone, and with the same probabilities.

    Every file is compared with the manifest. Then the bundle is copied to another place and loaded there by a fresh process
    with an empty home folder and without network, which may read nothing but the copy and installed software; what it tries
    beyond that is refused and reported. Linux, where it allows it, also takes network and bundle away from native code.
    """

    name: ClassVar[str] = "reload"
    rows: int = 32
    """How many test rows to compare; the run's seed draws them."""
    tolerance: float = 1e-4
    """How much a probability may differ from what the gate saw."""
    allow: tuple[Path, ...] = ()
    """Further files and folders that the model may read, when every machine that serves it has them."""
    seconds: float = 600.0
    """Time for the fresh process to load the bundle and answer."""

    def __post_init__(self) -> None:
        scoring.at_least("rows", self.rows, 1)
        scoring.in_range("tolerance", self.tolerance, 0, 1)
        if not 0 < self.seconds < float("inf"):
            raise ValueError("seconds must be a number above 0")

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Load the candidate's bundle elsewhere. Raises: OSError when there is no room for a copy."""
        import numpy as np

        from ftkit.evaluation.contenders import align_classes

        try:
            opened = bundles.verify(candidate.bundle)
        except BundleError as error:
            return self._failed(error.what)
        if reason := scoring.trouble(candidate):
            return self._failed(f"answers cannot be compared: {reason}")
        rows = sample(candidate, self.rows)
        found = self._elsewhere(opened, [candidate.data.test.texts[row] for row in rows])
        faults = []
        if found.get("reached"):
            faults.append(f"it tried to reach {listing(found['reached'], 3)}")
        if found.get("read"):
            faults.append(f"it read {listing(found['read'], 3)}, which another machine has not")
        if "error" in found:
            return self._failed("; ".join([f"it does not load there: {printable(found['error'])}", *faults]))
        if found["hash"] != opened.hash:
            faults.append("the copy is another bundle")
        answers = np.asarray(found["probabilities"], dtype=np.float64).reshape(len(rows), -1)
        here = np.asarray(candidate.probabilities, dtype=np.float64)[rows]  # (rows, classes)
        there = align_classes(answers, found["classes"], candidate.data.classes)
        apart = float(abs(there - here).max()) if np.isfinite(there).all() else float("inf")
        if apart > self.tolerance:
            said = rounded(apart) if np.isfinite(apart) else "so that they are no numbers"
            faults.append(
                f"probabilities differ by up to {said} from those the gate saw (at most {rounded(self.tolerance)})"
            )
        numbers = {"rows": len(rows), "files": len(opened.manifest["files"]), "max_difference": apart}
        numbers |= {"tolerance": self.tolerance, "isolated": float(found["isolated"])}
        if faults:
            return self._failed("; ".join(faults), scoring.finite(numbers))
        said = (
            f"{count(len(opened.manifest['files']), 'file')} as the manifest says; moved, in a fresh process without network "
            f"and with an empty home, {count(len(rows), 'test row')} get probabilities {distance(apart)}"
        )
        return Verdict(self.name, "passed", said, scoring.finite(numbers))

    def _failed(self, why: str, numbers: Mapping[str, float] | None = None) -> Verdict:
        return Verdict(self.name, "failed", f"the bundle cannot be relied on elsewhere: {why}", numbers or {})

    def _elsewhere(self, opened: bundles.Bundle, texts: Sequence[str]) -> Mapping[str, Any]:
        """What a fresh process says about these texts, or why it says nothing."""
        with tempfile.TemporaryDirectory(prefix="ftkit-reload-", ignore_cleanup_errors=True) as made:
            place = Path(made).resolve()
            home, copy = place / "home", place / "moved" / "bundle"
            (home / "tmp").mkdir(parents=True)
            shutil.copytree(opened.folder, copy)
            hidden = [each for each in (opened.folder.resolve(), *_gathered()) if _bare(each, place)]
            job = {"bundle": str(copy), "texts": list(texts), "hidden": [str(each) for each in hidden]}
            job["allowed"] = [str(place), *(str(each.absolute()) for each in self.allow)]
            (place / "job.json").write_text(json.dumps(job), encoding="utf-8")
            log, result = place / "log", place / "result.json"
            program = [sys.executable, "-P", "-m", "ftkit_strict.reload_process", str(place / "job.json"), str(result)]
            with log.open("wb") as output:
                try:
                    done = subprocess.run(
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
            if not result.is_file():
                last = files.tail(log, 1)
                return {"error": server.death(done.returncode) + (f"; it last wrote: {last}" if last else "")}
            return json.loads(result.read_text(encoding="utf-8"))


def _environment(home: Path) -> dict[str, str]:
    """The environment of a machine that has the same software and nothing else."""
    kept = {key: value for key, value in server.environment().items() if key not in PLACES}
    if site.ENABLE_USER_SITE:  # installed for this user only, below the home folder that is left behind
        kept["PYTHONUSERBASE"] = site.getuserbase()
    ours = {"HOME": home, "TMPDIR": home / "tmp", "FTKIT_HOME": home / "ftkit", "FTKIT_CACHE": home / "cache"}
    return {**kept, **{name: str(path) for name, path in ours.items()}}


def _gathered() -> list[Path]:
    """Folders with what this machine has downloaded."""
    hub = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return [Path(hub).expanduser().resolve(), files.cache().resolve()]


def _bare(folder: Path, place: Path) -> bool:
    """Whether a folder can be hidden without hiding what the fresh process needs."""
    from ftkit_strict.sandbox import software

    return not any(Path(each).is_relative_to(folder) for each in [str(place), *software()])
