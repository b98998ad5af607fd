"""The contenders of `serve`: the original's scoring script, a plain pipeline, ftkit's endpoint, and the raw engine.

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
"""Seconds until the first answer of a server, at most."""
BATCH = 32
"""Texts of one call of the raw engine, as many as there are clients."""


@dataclass(frozen=True)
class Live:
    """A server that answers."""

    url: str
    headers: Mapping[str, str]
    pid: int
    cold_start: float
    engine: str = ""
    """The bundle's engine that computes, where the server reports it."""


class Unavailable(Exception):
    """A contender that cannot run on this machine, and why."""


def scoring_python() -> Path:
    """The interpreter that has azureml-inference-server-http. Raises: Unavailable."""
    python = Path(os.environ.get("FTKIT_SCORING_PYTHON") or ROOT / ".venv-scoring" / "bin" / "python")
    if not python.is_file():
        raise Unavailable(
            "original: azureml-inference-server-http is not installed; `make test` installs it, or set FTKIT_SCORING_PYTHON."
        )
    return python


@contextmanager
def original(python: Path, model: Path, text: str) -> Iterator[Live]:
    """azureml-inference-server-http with the original's scoring; its own launcher would listen on every address."""
    script = Path(__file__).parent / "original" / "score.py"
    environment = {
        "AZUREML_ENTRY_SCRIPT": script.name,
        "AML_APP_ROOT": str(script.parent),
        "AZUREML_MODEL_DIR": str(model),
    }
    command = [str(python), "-m", "gunicorn", "--bind=127.0.0.1:0", "azureml_inference_server_http.server.entry:app"]
    with _started(command, {**environment, "PYTHONDONTWRITEBYTECODE": "1"}, text) as live:
        yield live


@contextmanager
def pipeline(model: Path, text: str) -> Iterator[Live]:
    """uvicorn with the plain pipeline."""
    command = [sys.executable, "-m", "uvicorn", "--port=0", "--no-access-log", "benchmarks.pipeline:app"]
    with _started(command, {"BENCHMARK_MODEL": str(model), "HF_HUB_OFFLINE": "1"}, text) as live:
        yield live


@contextmanager
def ftkit(bundle: Path, engine: str, text: str) -> Iterator[Live]:
    """The local endpoint with one of the bundle's engines, rolled out as in a run."""
    from ftkit_local.deployer import LocalDeployer

    from ftkit.bundle import bundle as opened
    from ftkit.contracts.settings import Rollout
    from ftkit.stages.rollout import roll_out

    start = time.perf_counter()
    deployer = LocalDeployer(endpoint=f"benchmark-{time.monotonic_ns()}", engine=engine)
    try:
        endpoint = roll_out(deployer, opened.verify(bundle), "v1", Rollout(bake=0, poll=0.02), lambda _: None)
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        load.once(endpoint.url, headers, text)
        cold = time.perf_counter() - start
        request = urllib.request.Request(endpoint.url.replace("/score", "/model"), headers=headers)
        with urllib.request.urlopen(request, timeout=load.PATIENCE) as answer:
            served_engine = json.load(answer)["engine"]
        yield Live(endpoint.url, headers, int(deployer.folder.pid.read_text(encoding="ascii")), cold, served_engine)
    finally:
        deployer.stop()


def default_engine() -> str:
    """The engine that the local endpoint has by default: its name, or the way to choose one."""
    from ftkit_local.deployer import LocalDeployer

    return LocalDeployer(endpoint="benchmark").engine


def prepare(folder: str, data: str | None, count: int, engines: Sequence[str] | None) -> Numbers:
    """Write the bundle and draw the texts; to be called in a process of its own."""
    from benchmarks import rows

    bundle = bundles.make(Path(folder), None if engines is None else tuple(engines))
    short, drawn = rows.texts(Path(data) if data else None, count, bundle.classifier.tokens)
    return {
        "bundle": str(bundle.folder),
        "model": str(Path(folder) / "model"),
        "engines": ["native", *bundle.engines],
        "short": short,
        "drawn": drawn,
        "tokens": bundle.classifier.tokens(drawn),
    }


def raw(bundle: str, engine: str, texts: str, seconds: float, start: float) -> Numbers:
    """One of a bundle's engines in a loop without a server.

    Latency is that of one short text a call; throughput that of texts of any length, one or many a call, whichever is
    faster. `start` is when the process was started.
    """
    from ftkit.bundle import bundle as opened

    samples = json.loads(Path(texts).read_text(encoding="utf-8"))
    model = opened.verify(Path(bundle)).classifier_of(engine)
    model.probabilities(samples["short"][:1])
    cold = time.time() - start
    _looped(model.probabilities, samples["short"], 1, 1.0)
    alone = _looped(model.probabilities, samples["short"], 1, seconds)
    rates = []
    for size in (1, BATCH):
        _looped(model.probabilities, samples["drawn"], size, 1.0)
        spent = _looped(model.probabilities, samples["drawn"], size, seconds)
        rates.append(size * len(spent) / sum(spent))
    return {
        **load.percentiles(alone),
        "requests_per_s": max(rates),
        "cold_start_s": cold,
        "memory_mb": memory.own_peak(),
        "engine": engine,
    }


def _looped(call: Callable[[Sequence[str]], object], texts: Sequence[str], size: int, seconds: float) -> list[float]:
    """The seconds of every call with `size` texts."""
    drawn = itertools.cycle(texts)
    spent: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not spent:
        batch = list(itertools.islice(drawn, size))
        start = time.perf_counter()
        call(batch)
        spent.append(time.perf_counter() - start)
    return spent


@contextmanager
def _started(command: Sequence[str], environment: Mapping[str, str], text: str) -> Iterator[Live]:
    """A server that logs its port, once it has answered. Raises: RuntimeError with the end of its log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        start = time.perf_counter()
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, **environment}
            )
        try:
            url = _wait_for_answer(process, log, start + PATIENCE, text)
            yield Live(url, {}, process.pid, time.perf_counter() - start)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], log: Path, deadline: float, text: str) -> str:
    while process.poll() is None and time.perf_counter() < deadline:
        address = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
        try:
            if address:
                load.once(url := f"http://127.0.0.1:{address[1]}/score", {}, text)
                return url
        except ConnectionError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not answer:\n{log.read_text(errors='replace')[-2000:]}")
