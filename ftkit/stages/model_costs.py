"""What the models of finished trials cost to serve: milliseconds a text, bytes, and numbers in their weights."""

from __future__ import annotations

import functools
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftkit.contracts import AUTO, NATIVE, Backbone, Classifier, EngineChoosing, Exporting, capable
from ftkit.plugins.calls import call

TEXTS = 5
"""Validation texts that are answered, one at a time: evenly spaced in the order of their lengths."""
TURNS = 5
"""Each model is measured so many times, all of them in turns. The quietest turn of each counts: other work only adds time."""
SECONDS = 0.2
"""After these a model's turn ends, once it has answered every text."""
HELD = 10**9
"""Bytes of models that stay in memory together from one turn to the next; larger ones are loaded again for each."""

Load = Callable[[], Classifier]


def size(folder: Path) -> int:
    """Bytes of a model's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parameters(folder: Path) -> int | None:
    """Numbers in a model's safetensors and numpy files; None where it has none of these."""
    import numpy as np
    from safetensors import safe_open

    counts = []
    for path in folder.rglob("*"):
        if path.suffix == ".safetensors":
            with safe_open(path, "numpy") as tensors:
                counts += [math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                counts += [array.size for array in arrays.values() if array.dtype.kind == "f"]
        elif path.suffix == ".npy":
            counts.append(np.load(path, mmap_mode="r", allow_pickle=False).size)
    return sum(counts) if counts else None


def sample(texts: Sequence[str]) -> list[str]:
    """Texts of the lengths that there are."""
    ordered = sorted(texts, key=lambda text: (len(text), text))
    count = min(TEXTS, len(ordered))
    return [ordered[(2 * index + 1) * len(ordered) // (2 * count)] for index in range(count)]


def latencies(models: Mapping[int, Sequence[Load]], texts: Sequence[str]) -> dict[int, float]:
    """Milliseconds a text of each model, by its fastest engine in its quietest turn. Raises: FtkitError when one cannot be loaded."""
    fastest: dict[int, float] = {}
    for _ in range(TURNS):
        for number, loads in models.items():
            for load in loads:
                milliseconds = _turn(load(), texts) * 1e3
                fastest[number] = min(milliseconds, fastest.get(number, milliseconds))
    return fastest


def _turn(classifier: Classifier, texts: Sequence[str]) -> float:
    """Seconds a text: the median of the answers to each text, and of these the mean."""
    for text in texts:  # the first answers of a model take longer
        call(Classifier.probabilities, classifier, [text])
    timings: list[list[float]] = [[] for _ in texts]
    ends = time.perf_counter() + SECONDS
    while True:
        for text, own in zip(texts, timings, strict=True):
            begun = time.perf_counter()
            classifier.probabilities([text])
            own.append(time.perf_counter() - begun)
        if time.perf_counter() > ends:
            return statistics.fmean(map(statistics.median, timings))


@contextmanager
def servable(deploy: Any, models: Mapping[int, tuple[Backbone, Path]], work: Path) -> Iterator[dict[int, list[Load]]]:
    """What loads each model as it will be served: by the engine that the recipe deploys, for `auto` by every engine it exports.

    Engines are exported into copies in a folder of `work`, which is removed at the end. Raises: FtkitError.
    """
    wanted = call(EngineChoosing.engine, deploy) if capable(deploy, EngineChoosing) else NATIVE
    with tempfile.TemporaryDirectory(prefix=".engines-", dir=work) as copies:
        loads: dict[int, list[Load]] = {}
        for number, (backbone, folder) in models.items():
            loads[number] = []
            if wanted in (NATIVE, AUTO):
                loads[number].append(lambda backbone=backbone, folder=folder: call(Backbone.load, backbone, folder))  # type: ignore[misc]  # mypy takes a lambda's defaults for arguments
            if wanted == NATIVE or not capable(backbone, Exporting):
                continue
            engines = call(Exporting.engines, backbone)
            if not engines:
                continue
            copy = Path(copies) / str(number)
            shutil.copytree(folder, copy)
            call(Exporting.export, backbone, copy)
            for engine in engines if wanted == AUTO else (wanted,):
                loads[number].append(
                    lambda backbone=backbone, copy=copy, engine=engine: call(  # type: ignore[misc]  # as above
                        Exporting.load_engine, backbone, copy, engine
                    )
                )
        if sum(size(folder) for _, folder in models.values()) <= HELD:
            loads = {number: [functools.cache(load) for load in each] for number, each in loads.items()}
        yield loads
