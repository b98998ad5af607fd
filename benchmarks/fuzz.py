"""Damaged input for all that ftkit reads: recipes, data, requests, bundles, records, runs, checkpoints and the files of endpoints.

    python -m benchmarks fuzz [--cases 10000] [--families NAME …] [--seed N] [--seconds N] [--workers 2]
    python -m benchmarks fuzz --families NAME --seed N --case NUMBER

Each case is something valid with a few damages, by bytes or in its structure: wrong types, huge numbers, endless texts, deep nesting, odd
characters, keys that are there twice, parts that are missing or exchanged. A case is a finding when reading it ends in anything
but success or an error of ftkit's own (of a server: an answer that is JSON, with a status below 500), when it takes longer than
--deadline, when it kills the process, or when something else was accepted than what was written, without a word.

The same seed gives the same cases, and --case repeats one of them, with what comes out. Exit code 1: there are findings.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import command, results
from benchmarks.fuzzing import families
from benchmarks.turns import ROOT


def main(arguments: Sequence[str]) -> None:
    """Run the cases of each family in worker processes, and print a table and the findings."""
    parser = command.plain("fuzz", __doc__)
    listed = "; ".join(f"{name}: {what}" for name, what in families.NAMES.items())
    parser.add_argument("--cases", type=int, default=10_000, help="cases of each family (default: 10000)")
    parser.add_argument(
        "--families", nargs="+", choices=families.NAMES, default=[*families.NAMES], help=listed, metavar="NAME"
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="what all cases follow from (default: by chance)"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most so long for each family")
    parser.add_argument(
        "--deadline", type=float, default=10.0, help="seconds of the processor that one case may take (default: 10)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--case", type=int, help="repeat this case alone, of each of the families")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write counts and findings to this file")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with ThreadPoolExecutor(options.workers) as pool:
        shares = [options.families[worker :: options.workers] for worker in range(options.workers)]
        lines = [line for part in pool.map(lambda names: [*_read(names, options)], shares) for line in part]
    findings = [line for line in lines if "kind" in line]
    _show(options, [line for line in lines if "done" in line], findings)
    if options.json:
        options.json.write_text(json.dumps({"options": command.settings(options), "lines": lines}, indent=1))
    sys.exit(1 if findings else 0)


def _read(names: Sequence[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The lines that workers write about these families; after one that has died, the next goes on behind the case."""
    first = options.case or 0
    until = options.cases if options.case is None else options.case + 1
    left = [(name, first) for name in names]
    while left:
        with tempfile.TemporaryDirectory() as folder:
            progress, path = Path(folder) / "progress", Path(folder) / "results"
            given = {
                "families": left,
                "seed": options.seed,
                "cases": until,
                "seconds": options.seconds if options.seconds != float("inf") else 1e9,
                "deadline": options.deadline,
                "progress": str(progress),
                "results": str(path),
            }
            program = [sys.executable, "-m", "benchmarks.fuzzing.worker", json.dumps(given)]
            ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
            lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
            yield from lines
            done = {line["done"] for line in lines if "done" in line}
            left = [(name, number) for name, number in left if name not in done]
            if not left:
                return
            if not progress.is_file():
                raise SystemExit(f"the worker ended before its first case:\n{ended.stderr[-3000:]}")
            name, _, number = progress.read_text().partition(" ")
            hung = "Timeout (" in ended.stderr or ended.returncode == -signal.SIGPROF
            yield {
                "family": name,
                "case": int(number),
                "what": "",
                "kind": "no end" if hung else f"death of the process, {ended.returncode}",
                "place": _own_frame(ended.stderr),
                "error": ended.stderr[-3000:],
            }
            yield {"done": name, "until": int(number) + 1, "seconds": 0.0, "accepted": 0, "refused": 0}
            left = [(each, int(number) + 1 if each == name else at) for each, at in left]


def _own_frame(stack: str) -> str:
    """The innermost place of ftkit in a stack that Python has dumped."""
    lines = [line.strip() for line in stack.splitlines() if "/ftkit" in line and "File " in line]
    return lines[0] if lines else ""


def _show(options: argparse.Namespace, done: Sequence[dict[str, Any]], findings: Sequence[dict[str, Any]]) -> None:
    """Print the table, and each finding once, with the command that repeats it."""
    rows = []
    for name in options.families:
        parts = [line for line in done if line["done"] == name]
        cases, refused, accepted = (
            max((line["until"] for line in parts), default=0),
            sum(line["refused"] for line in parts),
            sum(line["accepted"] for line in parts),
        )
        own = [each for each in findings if each["family"] == name]
        distinct = {(each["kind"], each["place"]) for each in own}
        seconds = sum(line["seconds"] for line in parts)
        rows.append(
            [name, f"{cases:,}", f"{refused:,}", f"{accepted:,}", f"{len(distinct)} ({len(own)})", f"{seconds:.0f}"]
        )
    print(results.table(["family", "cases", "refused", "accepted", "findings (cases)", "s"], rows))
    shown = set()
    for each in findings:
        key = (each["family"], each["kind"], each["place"])
        if key in shown:
            continue
        shown.add(key)
        same = sum((other["family"], other["kind"], other["place"]) == key for other in findings)
        print(
            f"\n{each['family']} case {each['case']}: {each['kind']} at {each['place']} ({same} cases)\n  {each['what']}"
        )
        print(f"  python -m benchmarks fuzz --families {each['family']} --seed {options.seed} --case {each['case']}")
        print("    " + each["error"].strip()[-1500 if options.case is None else -10_000 :].replace("\n", "\n    "))
    if options.case is not None and not findings:
        print("\nno finding")
