"""Seconds and memory of every stage between a table on the disk and the tokens that a trial trains on.

    python -m benchmarks data [--rows N] [--data FILE] [--without STAGE ...] [--json FILE]

The rows are made up, unless --data names a table with the columns `text` and `label`: 60 words on average, of a vocabulary
of 30,000 invented words, so that a text has some 200 tokens; 2 % are near copies of another row. Memory is that of the process
alone, at its peak in each stage; pages of files that are mapped into memory are not counted, since the system takes them back
when it needs them. CPU seconds tell more than seconds on a busy machine. A trial is a process of its own, which reads the stored
rows and the tokens.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import command, results
from benchmarks.turns import Numbers, measured
from ftkit.hardware import cores

COLUMNS = {"seconds": "seconds", "cpu_seconds": "CPU seconds", "peak_mb": "peak MB"}
SEED = 1
VOCABULARY = 30_000
NEAR_COPIES = 0.02
CLASSES = 4
MEGABYTE = 2**20
_BLOCK = 50_000
_EVERY = 0.02
"""Seconds between two looks at the memory."""


def main(arguments: Sequence[str]) -> None:
    """Measure, show and write."""
    parser = command.plain("data", __doc__)
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="made-up rows (default: 100000)")
    parser.add_argument(
        "--data", type=command.there, metavar="FILE", help="a table with the columns text and label instead"
    )
    parser.add_argument(
        "--without", nargs="+", choices=("near-copies", "tokens"), default=[], help="stages that are left out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    report = results.Results("data", command.settings(options))
    with tempfile.TemporaryDirectory() as folder:
        report.contenders = stages(options, Path(folder))
    report.show(COLUMNS)
    report.write(options.json)


def stages(options: argparse.Namespace, folder: Path) -> dict[str, Numbers]:
    """The numbers of every stage, with temporary files in a folder."""
    table = options.data or folder / "rows.csv"
    if options.data is None:
        measured("benchmarks.data:make", path=str(table), rows=options.rows)
    near_copies = "ignored" if "near-copies" in options.without else "together"
    home = {"FTKIT_HOME": str(folder)}
    numbers = measured("benchmarks.data:load", home, path=str(table), near_copies=near_copies)
    numbers |= measured("benchmarks.data:read", home)
    if "tokens" not in options.without:
        from ftkit.encoders.process_environment import process_environment

        numbers |= measured("benchmarks.data:tokenise", home | process_environment(cores()))
    return numbers


def make(path: str, rows: int) -> Numbers:
    """Write a csv file of made-up rows, 20 to 100 words each."""
    import numpy as np

    random = np.random.default_rng(SEED)
    letters = np.array([*"abcdefghijklmnopqrstuvwxyz"])
    words = np.array(["".join(random.choice(letters, size)) for size in random.integers(2, 9, VOCABULARY)])
    weights = 1 / np.arange(2, VOCABULARY + 2) ** 0.8
    before = np.array([], dtype=words.dtype)
    with Path(path).open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for begin in range(0, rows, _BLOCK):
            sizes = random.integers(20, 101, min(_BLOCK, rows - begin))
            drawn = np.split(words[random.choice(VOCABULARY, sizes.sum(), p=weights / weights.sum())], sizes.cumsum())
            labels, copies = random.integers(CLASSES, size=len(sizes)), random.random(len(sizes)) < NEAR_COPIES
            for text, label, copied in zip(drawn, labels, copies, strict=False):
                if copied and len(before):
                    text = before.copy()
                    text[random.integers(len(text))] = "copied"
                before = text
                file.write(f"{' '.join(text)},class{label}\n")
    return {}


def load(path: str, near_copies: Any) -> dict[str, Numbers]:
    """Read, clean and split a table and store it as a run does, in a process of its own."""
    from ftkit_tables.table import Table

    from ftkit.data import splits
    from ftkit.runs import ledger as ledgers
    from ftkit.runs import preparation

    memory = Memory()
    inside = {
        "read": (Table, "_read"),
        "clean": (splits, "clean"),
        "near copies": (splits, "find_near_copies"),
        "check": (preparation.soundness, "check"),
    }
    for name, (owner, function) in inside.items():
        setattr(owner, function, memory.watched(name, getattr(owner, function)))
    dataset = Table(path=Path(path), near_copies=near_copies)
    with memory.stage("load in all"):
        data = preparation.loaded(dataset, SEED, lambda event: None)
    ledger = ledgers.at(Path(os.environ["FTKIT_HOME"]) / "run", "data", 'name = "data"\n')
    with memory.stage("store"):
        ledger.store_data(data)
    return memory.numbers


def read() -> dict[str, Numbers]:
    """Read the stored rows as a trial does, in a process of its own."""
    from ftkit.runs.ledger import Ledger

    memory = Memory()
    with memory.stage("read back, in each trial"):
        Ledger(Path(os.environ["FTKIT_HOME"]) / "run").data(("train", "valid"))
    return memory.numbers


def tokenise() -> dict[str, Numbers]:
    """Tokenise the stored rows with the quickstart's tokenizer as the first trial does, and read the tokens as the others do."""
    import numpy as np
    from ftkit_quickstart.minilm import MiniLM

    from ftkit.encoders.batches import training_batches
    from ftkit.encoders.checkpoint import open_checkpoint
    from ftkit.encoders.tokenization import Tokenizer, tokenize
    from ftkit.runs.ledger import Ledger

    checkpoint = open_checkpoint(MiniLM())
    tokenizer = Tokenizer(checkpoint.tokenizer, checkpoint.limit)
    memory = Memory()
    data = Ledger(Path(os.environ["FTKIT_HOME"]) / "run").data(("train", "valid"))
    with memory.stage("tokenise, once"):
        tokenize(data.train.texts, tokenizer, 128, data.cache)
    with memory.stage("tokens and batches, in each trial"):
        rows = tokenize(data.train.texts, tokenizer, 128, data.cache)
        training_batches(rows.lengths, 16, np.random.default_rng(SEED))
    return memory.numbers


class Memory:
    """Seconds and peak memory of stages, which may be inside each other."""

    def __init__(self) -> None:
        self.numbers: dict[str, Numbers] = {}
        self._open: list[Numbers] = []
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block; of several blocks of one name, the seconds are added."""
        numbers = self.numbers.setdefault(name, {"seconds": 0.0, "cpu_seconds": 0.0, "peak_mb": 0.0})
        self._open.append(numbers)
        begun, spent = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._look()
            numbers["seconds"] += time.perf_counter() - begun
            numbers["cpu_seconds"] += time.process_time() - spent
            self._open.remove(numbers)

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose calls are a stage."""

        def watched_function(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **named)

        return watched_function

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(_EVERY)

    def _look(self) -> None:
        now = own_memory()
        for numbers in [*self._open]:
            numbers["peak_mb"] = max(numbers["peak_mb"], now)


def own_memory() -> float:
    """The memory of this process without pages of files, in megabytes.

    Source: Linux manual, proc_pid_status(5), RssAnon and RssShmem; all its memory where there is no such file.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) / 1024
    except OSError:
        import psutil

        return float(psutil.Process().memory_info().rss) / MEGABYTE
