"""ftkit's own cost: commands against a Python that does nothing, and a run whose backbone learns nothing worth the name.

    python -m benchmarks overhead [--data PATH] [--rows N] [--repeats N] [--trials N] [--json FILE]

The commands take turns; `python` is `python -c pass`. The run is that of a linear model over hashed words, which trains in
milliseconds: what its stages take is the runner's own. It is run with one trial and with several, one at a time; what the
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
    parser.add_argument("--repeats", type=int, default=15, help="how often each command is given")
    parser.add_argument("--rounds", type=int, default=3, help="how often the run is run")
    parser.add_argument(
        "--trials", type=int, default=5, help="trials of the run; each after the first tells what one costs"
    )
    asked = parser.parse_args(arguments)
    found = results.Results("overhead", command.settings(asked))
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
        for each in commands.values():
            given(each)  # what the first call compiles and reads from the disk is not the command's
        runs = rounds({name: lambda _, each=each: given(each) for name, each in commands.items()}, asked.repeats)  # type: ignore[misc]
    section = {"use": "toy-reviews", "rows": asked.rows} if asked.data is None else rows.section(asked.data, asked.rows)
    nothing = rounds({"run": lambda _: nothing_learned(section, asked.trials)}, max(1, asked.rounds))["run"]
    found.contenders = {name: results.summary(some) for name, some in runs.items()}
    base = found.contenders["python"]
    for name, most in (("ftkit_help", 8), ("ftkit_check", 25), ("ftkit_plan", None)):
        mine = found.contenders[name]
        mine["times_python"] = mine["p50_ms"] / base["p50_ms"]
        mine["cpu_times_python"] = mine["cpu_ms"] / base["cpu_ms"]
        if most:
            found.bars.append(results.Bar("against python -c pass", name, mine["times_python"], most=most))
    found.notes.append(f"{asked.repeats} times each; the run: {asked.trials} trials, {asked.rounds} times.")
    found.show(COLUMNS)
    found.contenders["run"] = results.summary(nothing)
    print("\nA run in which nothing is learned, ms:\n")
    print(results.table(list(RUN.values()), [results.cells(found.contenders["run"], RUN)]))
    found.write(asked.json)


def given(command: Sequence[str]) -> Numbers:
    """Milliseconds that a command took, by the clock and of the processor."""
    keeping = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=keeping, check=True)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"p50_ms": seconds * 1e3, "cpu_ms": spent * 1e3}


def nothing_learned(section: dict[str, Any], trials: int) -> Numbers:
    """A run's stages in milliseconds, and what each trial after the first adds."""
    found = measured("benchmarks.overhead:stages", section=section, trials=trials)
    if trials > 1:
        one = measured("benchmarks.overhead:stages", section=section, trials=1)
        found["trial_ms"] = (found["search_ms"] - one["search_ms"]) / (trials - 1)
    return found


def stages(section: dict[str, Any], trials: int) -> Numbers:
    """Run a recipe over the toys in this process, which is one of its own, and tell what its stages took."""
    from ftkit import events, runner
    from ftkit.testing import toys

    found: Numbers = {}

    def hear(event: events.Event) -> None:
        if isinstance(event, events.StageFinished):
            found[f"{event.stage}_ms"] = event.seconds * 1e3
        elif isinstance(event, events.RunFinished):
            found["run_ms"] = event.seconds * 1e3

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_HOME"] = folder
        with toys.install(Path(folder)):
            overrides = {"dataset": section, "search.trials": trials, "search.concurrency": 1}
            runner.run(toys.plan(Path(folder), overrides), hear)
    return found
