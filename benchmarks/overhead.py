"""ftkit's own cost: commands beside a Python that does nothing, and a run with a trivial model.

    python -m benchmarks overhead [--data PATH] [--rows N] [--repeats N] [--trials N] [--json FILE]

The commands take turns; `python` is `python -c pass`. The run trains a linear model over hashed words in
milliseconds, so the time of its stages is the runner's own. It has one trial, and then several, one at a time; what the
others add, divided by their number, is the cost of a trial, most of which is the start of its process.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, results, rows
from benchmarks.turns import ROOT, Numbers, measured, rounds

COLUMNS = {"p50_ms": "median ms", "times_python": "× python", "cpu_ms": "CPU ms", "cpu_times_python": "× python"}

RUN = {
    "data_ms": "data",
    "search_ms": "search",
    "trial_ms": "each trial",
    "select_ms": "select",
    "test_ms": "test",
    "run_ms": "the run",
}

RECIPE = "recipes/quickstart.toml"


def main(arguments: Sequence[str]) -> None:
    """Measure, judge by the bars, show and write."""
    parser = command.parser("overhead", __doc__, 240, "rows of the run")
    parser.add_argument("--repeats", type=int, default=15, help="how often each command is run")
    parser.add_argument("--rounds", type=int, default=3, help="how often the run is run")
    parser.add_argument(
        "--trials", type=int, default=5, help="trials of the run; those after the first give the cost of one"
    )
    options = parser.parse_args(arguments)
    report = results.Results("overhead", command.settings(options))
    program = (
        [sys.executable, "-m", "ftkit"]
        if not (script := Path(sys.executable).with_name("ftkit")).exists()
        else [str(script)]
    )
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "ftkit_help": [*program, "--help"],
        "ftkit_check": [*program, "check", RECIPE],
        "ftkit_plan": [*program, "plan", RECIPE],
    }
    with tempfile.TemporaryDirectory() as home:
        os.environ["FTKIT_HOME"] = home
        for line in commands.values():
            timed(line)  # the first call compiles modules and fills the disk's cache
        runs = rounds({name: lambda _, line=line: timed(line) for name, line in commands.items()}, options.repeats)  # type: ignore[misc]
    section = (
        {"use": "toy-reviews", "rows": options.rows}
        if options.data is None
        else rows.section(options.data, options.rows)
    )
    linear_runs = rounds({"run": lambda _: linear_run(section, options.trials)}, max(1, options.rounds))["run"]
    report.contenders = {name: results.summary(some) for name, some in runs.items()}
    base = report.contenders["python"]
    for name, most in (("ftkit_help", 8), ("ftkit_check", 25), ("ftkit_plan", None)):
        numbers = report.contenders[name]
        numbers["times_python"] = numbers["p50_ms"] / base["p50_ms"]
        numbers["cpu_times_python"] = numbers["cpu_ms"] / base["cpu_ms"]
        if most:
            report.bars.append(results.Bar("against python -c pass", name, numbers["times_python"], most=most))
    report.notes.append(f"{options.repeats} times each; the run: {options.trials} trials, {options.rounds} times.")
    report.show(COLUMNS)
    report.contenders["run"] = results.summary(linear_runs)
    print("\nA run with a trivial model, ms:\n")
    print(results.table(list(RUN.values()), [results.cells(report.contenders["run"], RUN)]))
    report.write(options.json)


def timed(command: Sequence[str]) -> Numbers:
    """Milliseconds that a command took, by the clock and of the processor."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=environment, check=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"p50_ms": seconds * 1e3, "cpu_ms": spent * 1e3}


def linear_run(section: dict[str, Any], trials: int) -> Numbers:
    """A run's stages in milliseconds, and what each trial after the first adds."""
    milliseconds = measured("benchmarks.overhead:stages", section=section, trials=trials)
    if trials > 1:
        one = measured("benchmarks.overhead:stages", section=section, trials=1)
        milliseconds["trial_ms"] = (milliseconds["search_ms"] - one["search_ms"]) / (trials - 1)
    return milliseconds


def stages(section: dict[str, Any], trials: int) -> Numbers:
    """Milliseconds of each stage of a run of toy components; to be called in a process of its own."""
    from ftkit import events, runner
    from ftkit.testing import toys

    milliseconds: Numbers = {}

    def record(event: events.Event) -> None:
        if isinstance(event, events.StageFinished):
            milliseconds[f"{event.stage}_ms"] = event.seconds * 1e3
        elif isinstance(event, events.RunFinished):
            milliseconds["run_ms"] = event.seconds * 1e3

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_HOME"] = folder
        with toys.install(Path(folder)):
            overrides = {"dataset": section, "search.trials": trials, "search.concurrency": 1}
            runner.run(toys.plan(Path(folder), overrides), record)
    return milliseconds
