"""Which of a bundle's engines answers fastest on this machine: measured when the bundle is loaded, not guessed.

One engine is chosen for all texts: where one was faster with short texts, it was with long ones too, or nearly so. What was
measured is remembered where measuring takes long, in FTKIT_CACHE, for this bundle on this machine with these libraries.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files, machine
from ftkit.errors import PluginError

if TYPE_CHECKING:
    from ftkit.bundle import Bundle
    from ftkit.contracts import Classifier

log = logging.getLogger("ftkit.serving")

SHORT, LONG = 40, 200
"""Words of a text: of most reviews, and of one in ten."""
MANY = (20, 30, 40, 50, 60, 80, 120, 200)
"""Words of texts that wait together."""
ROUNDS = 3
SECONDS = 0.3
"""After these no further round begins: a slow engine need not be measured finely."""
LONG_TIME = 2.0
"""Seconds after which a measurement is worth being remembered."""
MATTER = ("torch", "onnxruntime", "openvino")
"""Distributions whose versions decide how fast an engine is."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds that a text takes: a short one alone, a long one alone, and one of many."""

    short: float
    long: float
    many: float

    @property
    def cost(self) -> float:
        """One number for the three, in which each counts alike: their geometric mean."""
        return float((self.short * self.long * self.many) ** (1 / 3))

    def __str__(self) -> str:
        return f"{self.short:.1f} ms short, {self.long:.1f} long, {self.many:.1f} among many"


@dataclass(frozen=True)
class Choice:
    """An engine, loaded, and what was measured."""

    engine: str
    classifier: Classifier
    timings: Mapping[str, Timing]
    """By engine; empty where there was nothing to choose from."""


def choose(opened: Bundle) -> Choice:
    """The fastest engine of those that the promotion tests passed; two of them are in memory at a time.

    Raises: PluginError, BundleError.
    """
    if len(opened.passed) == 1:
        return Choice(opened.passed[0], opened.classifier_of(opened.passed[0]), {})
    place = _place(opened)
    if known := _known(place, opened.passed):
        best, timings = known
        log.info("the engine %s was fastest here when it was measured", best)
        return Choice(best, opened.classifier_of(best), timings)
    texts = _words(opened)
    begun = time.monotonic()
    found: Choice | None = None
    timings = {}
    for engine in opened.passed:
        try:
            classifier = opened.loaded(engine)
        except PluginError as error:
            log.warning("the engine %s is left out: %s", engine, error.what)
            continue
        timings[engine] = measured(classifier, texts)
        log.info("the engine %s takes for a text: %s", engine, timings[engine])
        if found is None or timings[engine].cost < timings[found.engine].cost:
            found = Choice(engine, classifier, timings)
    if found is None:
        return Choice(opened.passed[0], opened.classifier_of(opened.passed[0]), {})
    log.info("the engine %s is the fastest of %s on this machine", found.engine, ", ".join(timings))
    if time.monotonic() - begun > LONG_TIME:
        with suppress(OSError):  # then it is measured again the next time
            place.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(place, {"engine": found.engine, "timings": {key: asdict(timings[key]) for key in timings}})
    return found


def measured(classifier: Classifier, words: Sequence[str]) -> Timing:
    """What texts of these words take, after a first call of each kind; the best of a few rounds, since company only costs time."""

    def text(count: int) -> str:
        return " ".join(itertools.islice(itertools.cycle(words), count))

    def seconds(call: Callable[[], object]) -> float:
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun

    kinds = [[text(SHORT)], [text(LONG)], [text(count) for count in MANY]]
    best = [float("inf")] * len(kinds)
    ends = time.perf_counter() + SECONDS
    for round_ in range(ROUNDS + 1):
        for index, texts in enumerate(kinds):
            spent = seconds(lambda texts=texts: classifier.probabilities(texts)) / len(texts)  # type: ignore[misc]
            if round_:
                best[index] = min(best[index], spent)
        if round_ and time.perf_counter() > ends:
            break
    return Timing(*(each * 1e3 for each in best))


def _words(opened: Bundle) -> list[str]:
    """The words of the bundle's sample request: they are of its language."""
    return " ".join(str(row["text"]) for row in opened.sample_request["data"]).split() or ["a"]


def _place(opened: Bundle) -> Path:
    """Where a choice for this bundle on this machine is remembered."""
    versions = {}
    for name in MATTER:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    facts = [opened.hash, opened.passed, machine.hardware(), os.environ.get("OMP_NUM_THREADS", ""), versions]
    return files.cache() / "engines" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"


def _known(place: Path, engines: Sequence[str]) -> tuple[str, dict[str, Timing]] | None:
    """What was found here before, if it is still to be had."""
    try:
        table = json.loads(place.read_text(encoding="utf-8"))
        timings = {str(key): Timing(**value) for key, value in table["timings"].items()}
        return (table["engine"], timings) if table["engine"] in engines else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
