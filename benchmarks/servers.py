"""Who is measured at answering: the original's scoring script, a plain pipeline, ftkit's endpoint, and the raw engine in a loop.

Each is started for one measurement and ended after it. A cold start is the time from the command to the first answer.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bundles, load, memory
from benchmarks.turns import ROOT, Numbers

PATIENCE = 180.0
"""Seconds that a server has until its first answer."""
TOGETHER = 32
"""Texts that the raw engine is given in one call, as many as there are clients."""


@dataclass(frozen=True)
class Live:
    """A server that answers."""

    url: str
    headers: Mapping[str, str]
    pid: int
    cold_start: float
    engine: str = ""
    """Which of a bundle's engines computes, where it says so."""


class Unavailable(Exception):
    """A contender that cannot run on this machine, and why."""


def scoring_python() -> Path:
    """The interpreter that has azureml-inference-server-http. Raises: Unavailable."""
    found = Path(os.environ.get("FTKIT_SCORING_PYTHON") or ROOT / ".venv-scoring" / "bin" / "python")
    if not found.is_file():
        raise Unavailable(
            "original: azureml-inference-server-http is not installed; `make test` installs it, or set FTKIT_SCORING_PYTHON."
        )
    return found


@contextmanager
def original(python: Path, model: Path, text: str) -> Iterator[Live]:
    """azureml-inference-server-http with the original's way of scoring; its own launcher would listen on every address."""
    script = Path(__file__).parent / "original" / "score.py"
    about = {"AZUREML_ENTRY_SCRIPT": script.name, "AML_APP_ROOT": str(script.parent), "AZUREML_MODEL_DIR": str(model)}
    command = [str(python), "-m", "gunicorn", "--bind=127.0.0.1:0", "azureml_inference_server_http.server.entry:app"]
    with _started(command, {**about, "PYTHONDONTWRITEBYTECODE": "1"}, text) as live:
        yield live


@contextmanager
def pipeline(model: Path, text: str) -> Iterator[Live]:
    """uvicorn with the plain pipeline."""
    command = [sys.executable, "-m", "uvicorn", "--port=0", "--no-access-log", "benchmarks.pipeline:app"]
    with _started(command, {"BENCHMARK_MODEL": str(model), "HF_HUB_OFFLINE": "1"}, text) as live:
        yield live


@contextmanager
def ftkit(bundle: Path, engine: str, text: str) -> Iterator[Live]:
    """The local endpoint, rolled out as a run does it, by one of the bundle's engines."""
    from ftkit_local.deployer import LocalDeployer

    from ftkit.bundle import bundle as opened
    from ftkit.contracts.settings import Rollout
    from ftkit.stages.rollout import roll_out

    begun = time.perf_counter()
    deployer = LocalDeployer(endpoint=f"benchmark-{time.monotonic_ns()}", engine=engine)
    try:
        endpoint = roll_out(deployer, opened.verify(bundle), "v1", Rollout(bake=0, poll=0.02), lambda _: None)
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        load.once(endpoint.url, headers, text)
        cold = time.perf_counter() - begun
        asked = urllib.request.Request(endpoint.url.replace("/score", "/model"), headers=headers)
        with urllib.request.urlopen(asked, timeout=load.PATIENCE) as answer:
            says = json.load(answer)["engine"]
        yield Live(endpoint.url, headers, int(deployer.folder.pid.read_text(encoding="ascii")), cold, says)
    finally:
        deployer.stop()


def default_engine() -> str:
    """What the local endpoint takes for its engine when a recipe says nothing: the name of one, or of a way to choose."""
    from ftkit_local.deployer import LocalDeployer

    return LocalDeployer(endpoint="benchmark").engine


def prepare(folder: str, data: str | None, count: int, engines: Sequence[str] | None) -> Numbers:
    """Make the bundle and the texts to ask about, in a process of their own."""
    from benchmarks import rows

    made = bundles.make(Path(folder), None if engines is None else tuple(engines))
    short, drawn = rows.texts(Path(data) if data else None, count, made.classifier.tokens)
    return {
        "bundle": str(made.folder),
        "model": str(Path(folder) / "model"),
        "engines": ["native", *made.engines],
        "short": short,
        "drawn": drawn,
        "tokens": made.classifier.tokens(drawn),
    }


def raw(bundle: str, engine: str, texts: str, seconds: float, begun: float) -> Numbers:
    """One of a bundle's engines in a loop without a server: one short text a call, then texts as they come, all by the faster of
    two ways: one by one, or many in a call. `begun` is when the process was asked for."""
    from ftkit.bundle import bundle as opened

    asked = json.loads(Path(texts).read_text(encoding="utf-8"))
    model = opened.verify(Path(bundle)).classifier_of(engine)
    model.probabilities(asked["short"][:1])
    cold = time.time() - begun
    _looped(model.probabilities, asked["short"], 1, 1.0)
    alone = _looped(model.probabilities, asked["short"], 1, seconds)
    rates = []
    for size in (1, TOGETHER):
        _looped(model.probabilities, asked["drawn"], size, 1.0)
        spent = _looped(model.probabilities, asked["drawn"], size, seconds)
        rates.append(size * len(spent) / sum(spent))
    return {
        **load.percentiles(alone),
        "requests_per_s": max(rates),
        "cold_start_s": cold,
        "memory_mb": memory.own_peak(),
        "engine": engine,
    }


def _looped(call: Callable[[Sequence[str]], object], texts: Sequence[str], size: int, seconds: float) -> list[float]:
    """The seconds of every call with so many texts."""
    drawn = itertools.cycle(texts)
    spent: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or not spent:
        given = list(itertools.islice(drawn, size))
        begun = time.perf_counter()
        call(given)
        spent.append(time.perf_counter() - begun)
    return spent


@contextmanager
def _started(command: Sequence[str], environment: Mapping[str, str], text: str) -> Iterator[Live]:
    """A server that says on which port it listens, once it has answered. Raises: RuntimeError with the end of its log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        begun = time.perf_counter()
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, **environment}
            )
        try:
            url = _answers(process, log, begun + PATIENCE, text)
            yield Live(url, {}, process.pid, time.perf_counter() - begun)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], log: Path, ends: float, text: str) -> str:
    while process.poll() is None and time.perf_counter() < ends:
        said = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
        try:
            if said:
                load.once(url := f"http://127.0.0.1:{said[1]}/score", {}, text)
                return url
        except ConnectionError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not answer:\n{log.read_text(errors='replace')[-2000:]}")
