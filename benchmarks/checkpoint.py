"""What a checkpoint inside a trial costs: seconds and MB for encoders of two sizes, and what is left of the training's speed.

    python -m benchmarks checkpoint [--data PATH] [--rows N] [--writes N] [--minutes N] [--json FILE]

Each size trains in a process of its own, in the number format that a trial would choose, and writes a checkpoint every few steps, the best
weights so far included. `share of 10 minutes` is a write over the interval of `checkpoint = "10m"`. With `--minutes`, MiniLM also trains on
the rows so long with a checkpoint every minute and without any, in two rounds of turns: what `steps per s` loses by ten times as many
checkpoints can be told from what the machine does by itself, and a tenth of it is what `checkpoint = "10m"` costs, all that follows a write included.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, results, rows
from benchmarks.memory import own_peak
from benchmarks.turns import Numbers, measured, rounds
from ftkit.contracts import StopTrial
from ftkit.encoders.process_environment import process_environment
from ftkit.hardware import cores
from ftkit.stages.checkpoints import TrialCheckpoints
from ftkit.stages.trial import Reporter

COLUMNS = {
    "write_s": "s per write",
    "disk_mb": "MB per write",
    "share": "share of 10 minutes, %",
    "peak_memory_mb": "peak MB",
    "steps_per_s": "steps per s",
}
INTERVAL = 600
"""Seconds between two checkpoints that the shares are of."""
OFTEN = 60
"""Seconds between two checkpoints where training's speed with them is measured."""
ROUNDS = 2
STEPS = 3
"""Steps of an epoch, and between two writes."""


def main(arguments: Sequence[str]) -> None:
    """Measure, judge, show and write."""
    parser = command.parser("checkpoint", __doc__, 640, "training rows for --minutes; 0 takes all")
    parser.add_argument("--writes", type=int, default=5, help="how many checkpoints of each size are written")
    parser.add_argument(
        "--minutes",
        type=float,
        default=0.0,
        help="how long each training of MiniLM takes, with and without checkpoints",
    )
    options = parser.parse_args(arguments)
    report = results.Results("checkpoint", command.settings(options))
    environment = process_environment(cores())
    for size in ("minilm", "bert-base"):
        numbers = measured("benchmarks.checkpoint:writes", environment, size=size, count=options.writes)
        report.contenders[size] = numbers
        report.bars.append(results.Bar("share of ten minutes, %", size, numbers["share"], most=2))
    if options.minutes:
        with tempfile.TemporaryDirectory() as folder:
            rows_file = str(Path(folder) / "rows.json")
            rows.write(rows.load(options.data, options.rows), Path(rows_file))
            task = {"path": rows_file, "seconds": 60 * options.minutes}
            contenders = {
                name: functools.partial(_speed, environment, task, name != "without")
                for name in ("without", "every minute")
            }
            trained = {name: results.summary(runs) for name, runs in rounds(contenders, ROUNDS).items()}
        report.contenders |= trained
        slower = 100 * (1 - results.ratio(trained["every minute"], trained["without"], "steps_per_s"))
        report.notes.append(f"A checkpoint every minute makes training {slower:.2f} % slower.")
        report.bars.append(results.Bar("slower by, %", "every 10 minutes", slower * OFTEN / INTERVAL, most=2))
    report.show(COLUMNS)
    report.write(options.json)


def _speed(environment: Mapping[str, str], task: Numbers, written: bool, _: int) -> Numbers:
    return measured("benchmarks.checkpoint:speed", environment, written=written, **task)


class Watched(TrialCheckpoints):
    """Checkpoints of a training that ends when `over` says so, and that are written when `due_after` says so."""

    def __init__(self, folder: Path, over: Callable[[Watched], bool], due_after: int = 0) -> None:
        """`due_after` is the number of steps after which each is due; 0 goes by the time, as in a trial."""
        super().__init__(folder, "benchmark", OFTEN, print, lambda history: None)
        self.steps = 0
        self.seconds: list[float] = []
        self.started = 0.0
        self._over, self._due_after = over, due_after

    def due(self) -> bool:
        """Whether one is due; counts the steps. Raises: StopTrial when the training is over."""
        self.steps += 1
        self.started = self.started or time.perf_counter()
        if self._over(self):
            raise StopTrial
        return self.steps % self._due_after == 0 if self._due_after else super().due()

    def write(self, fill: Callable[[Path], None]) -> None:
        """Write one, and measure it."""
        begun = time.perf_counter()
        super().write(fill)
        self.seconds.append(time.perf_counter() - begun)


def writes(size: str, count: int) -> Numbers:
    """So many checkpoints of one encoder."""
    from ftkit.testing.backbones import separable_data

    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial"
        checkpoints = Watched(trial, lambda watched: len(watched.seconds) > count, STEPS + 1)
        _train(_encoder(size, Path(folder)), separable_data(rows=2 * STEPS), trial, checkpoints)
        newest = sorted((trial / "checkpoints").glob("[0-9]*"))[-1]
        disk = sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())
    seconds = checkpoints.seconds[1:]  # the first has no best weights
    return {
        "write_s": statistics.median(seconds),
        "spread": {"write_s": [min(seconds), max(seconds)]},
        "disk_mb": disk / 1e6,
        "share": 100 * statistics.median(seconds) / INTERVAL,
        "peak_memory_mb": own_peak(),
    }


def speed(path: str, seconds: float, written: bool) -> Numbers:
    """Steps a second of MiniLM in so many seconds, with a checkpoint every minute or with none."""
    with tempfile.TemporaryDirectory() as folder:

        def over(watched: Watched) -> bool:
            return time.perf_counter() - watched.started > seconds

        checkpoints = Watched(Path(folder), over, 0 if written else 2**62)
        _train(_encoder("minilm", Path(folder), 16), rows.read(path, cache=Path(folder)), Path(folder), checkpoints)
        spent = time.perf_counter() - checkpoints.started
        return {"steps_per_s": checkpoints.steps / spent, "peak_memory_mb": own_peak()}


def _train(encoder: Any, data: Any, folder: Path, checkpoints: Watched) -> None:
    folder.mkdir(exist_ok=True)
    report = checkpoints.evaluations = Reporter(lambda numbers: (True, True), data, folder)
    with contextlib.suppress(StopTrial):
        encoder.resume(data, 1, report, checkpoints)


def _encoder(size: str, folder: Path, batch_size: int = 2) -> Any:
    """MiniLM with its published weights, or an encoder of the size of BERT-base with random ones."""
    if size == "minilm":
        from ftkit_quickstart.minilm import MiniLM

        return MiniLM(epochs=10_000, batch_size=batch_size, max_length=128)
    from ftkit_bert.backbones import BertBaseCased
    from transformers import BertConfig, BertModel

    from ftkit.testing.backbones import tiny_bert

    source = tiny_bert(folder / "source", layers=1)
    config = BertConfig(vocab_size=28_996)
    BertModel(config).save_pretrained(source)
    return BertBaseCased(checkpoint=str(source), epochs=10_000, batch_size=batch_size, max_length=128)
