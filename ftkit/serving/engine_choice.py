"""Which of a bundle's engines answers fastest on this machine: measured when the bundle is loaded, not guessed.

One engine is chosen for all texts: in measurements an engine that was faster with short texts was faster with long ones
too, or nearly so. Timings that took long to measure are stored in FTKIT_CACHE, for this bundle on this machine with
these libraries.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files, hardware, scratch, strict_json
from ftkit.contracts import NATIVE
from ftkit.errors import PluginError, VerbError

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle
    from ftkit.contracts import Classifier

log = logging.getLogger("ftkit.serving")

SHORT, LONG = (34, 37, 40, 43, 46), (180, 200, 220)
"""Words of texts that come one by one: of most reviews, and of one in ten. No two are alike, since some engines are
much faster at a shape that they have just computed, which traffic does not give them."""
MANY = (20, 30, 40, 50, 60, 80, 120, 200)
"""Words of texts that wait together."""
ROUNDS = 3
SECONDS = 0.3
"""After these no further round begins: a slow engine need not be measured finely."""
LONG_TIME = 2.0
"""Seconds after which the timings are worth storing."""
LIBRARIES = ("torch", "onnxruntime", "openvino", "ftkit-native")
"""Distributions whose versions decide how fast an engine is."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds that a text takes: a short one alone, a long one alone, and one of many."""

    short: float
    long: float
    many: float
    work: float
    """Processor time of all threads together: time in which threads wait busily is lost to other processes."""

    def __post_init__(self) -> None:
        """Raises: ValueError for what no clock says, as a file that was damaged may."""
        if not all(0 <= each < math.inf for each in (self.short, self.long, self.many, self.work)):
            raise ValueError("times are positive numbers")

    @property
    def cost(self) -> float:
        """One number for the four, in which each counts alike: their geometric mean."""
        return float((self.short * self.long * self.many * self.work) ** (1 / 4))

    def __str__(self) -> str:
        times = f"{self.short:.1f} ms short, {self.long:.1f} long, {self.many:.1f} among many"
        return f"{times}, {self.work:.1f} of processor time"


@dataclass(frozen=True)
class Choice:
    """An engine, loaded, and the timings that it was chosen by."""

    engine: str
    classifier: Classifier
    timings: Mapping[str, Timing]
    """By engine; empty where there was nothing to choose from."""


def choose(bundle: Bundle) -> Choice:
    """The fastest engine of those that the promotion tests passed; no other is loaded into this process.

    Raises: PluginError, BundleError.
    """
    if len(bundle.passed) == 1:
        return Choice(bundle.passed[0], bundle.classifier_of(bundle.passed[0]), {})
    path = _cache_path(bundle)
    if cached := _cached(path, bundle.passed):
        best, timings = cached
        log.info("the engine %s was fastest here when it was measured", best)
        return Choice(best, bundle.classifier_of(best), timings)
    begun = time.monotonic()
    measured = measure_apart(bundle)
    timings = {engine: measured[engine] for engine in bundle.passed if engine in measured}
    for engine, timing in timings.items():
        log.info("the engine %s takes for a text: %s", engine, timing)
    if not timings:
        return Choice(bundle.passed[0], bundle.classifier_of(bundle.passed[0]), {})
    best = min(timings, key=lambda engine: timings[engine].cost)
    log.info("the engine %s is the fastest of %s on this machine", best, ", ".join(timings))
    if time.monotonic() - begun > LONG_TIME:
        with suppress(OSError):  # then it is measured again the next time
            files.write_json(path, {"engine": best, "timings": _to_table(timings)})
    return Choice(best, bundle.classifier_of(best), timings)


def measure_apart(bundle: Bundle) -> dict[str, Timing]:
    """The timings of each engine that the tests passed, measured in a process of its own.

    Libraries that only the slower engines need, torch above all, would stay in a process for as long as it serves.
    Where no other process can be started, or it breaks off, the engines are measured in this one, which then logs what
    is wrong. Raises: BundleError.
    """
    program = [sys.executable or "", "-P", "-m", "ftkit.serving.engine_choice"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        with scratch.folder() as folder:
            output = folder / "timings.json"
            command = [*program, str(bundle.folder), bundle.hash, str(output)]
            # Its standard input is closed when this process ends, however it ends.
            with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
                code = process.wait()
            if code == 0:
                return _from_table(json.loads(output.read_text(encoding="utf-8")))
            reason = f"it ended with exit code {code}"
    except (OSError, ValueError) as error:
        reason = str(error)
    log.warning("the engines are measured in this process, since a process for them failed: %s", reason)
    return measure(bundle)


def measure(bundle: Bundle) -> dict[str, Timing]:
    """The timings of each engine, measured in this process; engines that are not installed are left out.

    The native one comes last: the others then have as many threads as they will have where torch is not loaded.
    Raises: BundleError.
    """
    words = _sample_words(bundle)
    timings = {}
    for engine in sorted(bundle.passed, key=NATIVE.__eq__):
        try:
            timings[engine] = time_classifier(bundle.loaded(engine), words)
        except VerbError:  # it is installed and does not work
            raise
        except PluginError as error:
            log.warning("the engine %s is left out: %s", engine, error.what)
    return timings


def time_classifier(classifier: Classifier, words: Sequence[str]) -> Timing:
    """The timings of texts of these words, after a first call of each kind.

    Of several rounds the best counts, since other work on the machine only adds time.
    """

    def text(count: int) -> str:
        return " ".join(itertools.islice(itertools.cycle(words), count))

    def seconds(calls: Sequence[Sequence[str]]) -> float:
        begun = time.perf_counter()
        for texts in calls:
            classifier.probabilities(texts)
        return (time.perf_counter() - begun) / sum(map(len, calls))

    kinds = [[[text(count)] for count in SHORT], [[text(count)] for count in LONG], [[text(count) for count in MANY]]]
    texts = sum(len(call) for calls in kinds for call in calls)
    best = [float("inf")] * (len(kinds) + 1)
    ends = time.perf_counter() + SECONDS
    for round_ in range(ROUNDS + 1):
        begun = time.process_time()
        spent = [seconds(calls) for calls in kinds]
        spent.append((time.process_time() - begun) / texts)
        if round_:
            best = [min(pair) for pair in zip(best, spent, strict=True)]
        if round_ and time.perf_counter() > ends:
            break
    return Timing(*(each * 1e3 for each in best))


def _sample_words(bundle: Bundle) -> list[str]:
    """The words of the bundle's sample request: they are of its language."""
    return " ".join(text for row in bundle.sample_request["data"] for text in row.values()).split() or ["a"]


def _cache_path(bundle: Bundle) -> Path:
    """Where the timings for this bundle on this machine are stored."""
    versions = {}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    lengths = [SHORT, LONG, MANY]
    facts = [bundle.hash, bundle.passed, hardware.hardware(), os.environ.get("OMP_NUM_THREADS", ""), versions, lengths]
    return files.cache() / "engines" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"


def _cached(path: Path, engines: Sequence[str]) -> tuple[str, dict[str, Timing]] | None:
    """The engine that was fastest before, with the timings, if the bundle still has it."""
    try:
        table = strict_json.read_object(path)
        timings = _from_table(table["timings"])
        return (table["engine"], timings) if table["engine"] in engines else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _to_table(timings: Mapping[str, Timing]) -> dict[str, dict[str, float]]:
    return {engine: asdict(timing) for engine, timing in timings.items()}


def _from_table(table: Mapping[str, Mapping[str, float]]) -> dict[str, Timing]:
    return {
        str(engine): Timing(**{name: float(milliseconds) for name, milliseconds in timing.items()})
        for engine, timing in table.items()
    }


def main(folder: str, hash_: str, output: str) -> None:
    """Measure the engines of a bundle that was verified, for the process that waits for it."""
    from ftkit.bundle.bundle import MANIFEST, Bundle

    threading.Thread(target=_end_with_parent, daemon=True).start()
    manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
    files.write_json(Path(output), _to_table(measure(Bundle(Path(folder), manifest, hash_))))


def _end_with_parent() -> None:
    """End with the process that waits: it holds the other end of standard input."""
    # Not through `sys.stdin`: a thread in its buffer would not let the process end in peace.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
