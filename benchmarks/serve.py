"""Requests: the original's scoring script, a pipeline behind FastAPI, ftkit's endpoint and the raw engine, in one run.

    python -m benchmarks serve [--data PATH] [--rows N] [--seconds S] [--rounds N] [--json FILE]

Each request carries one text. One client sends texts of some 60 tokens, for the latency; 32 clients send texts of any
length in the data, for the throughput. Clients and server share the machine. `ftkit` answers by the engine that its
endpoint measures to be the fastest here; `limit` is that engine in a loop without any server; `ftkit_NAME` and
`limit_NAME` are the other engines. The encoder is the quickstart's with an untrained head, which costs the same as a
trained one. The contenders take turns, and each starts anew for each measurement; its cold start is the time from the
command to the first answer, its memory the sum of the peaks of its processes. The client is wrk where it is installed,
else threads of Python.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks import command, load, memory, results, servers
from benchmarks.turns import Numbers, measured, rounds
from ftkit.hardware import bf16_units

CLIENTS = 32

COLUMNS = {
    "engine": "engine",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "p50_of_original": "p50, × original",
    "requests_per_s": f"requests/s, {CLIENTS} clients",
    "loaded_p99_ms": f"p99 ms, {CLIENTS} clients",
    "times_original": "requests/s, × original",
    "share_of_limit": "of its raw engine",
    "cold_start_s": "cold start s",
    "memory_mb": "memory MB",
}


def main(arguments: Sequence[str]) -> None:
    """Measure, judge by the bars, show and write."""
    from ftkit.serving import server

    parser = command.parser("serve", __doc__, 500, "different texts to send")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each contender is measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="*", help="engines beside torch (default: all that can be exported here)")
    parser.add_argument(
        "--contenders", nargs="+", help="only these, by their names in the table; `limit` is a `limit_NAME`"
    )
    options = parser.parse_args(arguments)
    report = results.Results("serve", command.settings(options))
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"FTKIT_HOME": f"{folder}/home", "FTKIT_CACHE": f"{folder}/cache"}
        data = str(options.data.resolve()) if options.data else None
        prepared = measured(
            "benchmarks.servers:prepare", folder=folder, data=data, count=options.rows, engines=options.engines
        )
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(prepared), encoding="utf-8")
        bundle, model, first = Path(prepared["bundle"]), Path(prepared["model"]), prepared["short"][0]
        starters: dict[str, Callable[[int], Numbers]] = {}

        def serving(start: Callable[[], AbstractContextManager[servers.Live]]) -> Callable[[int], Numbers]:
            return lambda _: requests(start, prepared["short"], prepared["drawn"], options.seconds)

        def looping(engine: str) -> Callable[[int], Numbers]:
            about = {"bundle": str(bundle), "texts": str(texts), "seconds": options.seconds, "engine": engine}
            return lambda _: measured("benchmarks.servers:raw", server.environment(), **about, start=time.time())

        try:
            starters["original"] = serving(partial(servers.original, servers.scoring_python(), model, first))
        except servers.Unavailable as why:
            report.notes.append(str(why))
        starters["pipeline"] = serving(partial(servers.pipeline, model, first))
        default = servers.default_engine()
        starters["ftkit"] = serving(partial(servers.ftkit, bundle, default, first))
        for engine in prepared["engines"]:
            if engine != default:
                starters[f"ftkit_{name(engine)}"] = serving(partial(servers.ftkit, bundle, engine, first))
            starters[f"limit_{name(engine)}"] = looping(engine)
        if unknown := set(options.contenders or starters) - set(starters):
            parser.error(
                "; ".join(
                    [
                        f"no such contenders: {', '.join(sorted(unknown))}",
                        f"there are {', '.join(starters)}",
                        *report.notes,
                    ]
                )
            )
        runs = rounds({each: starters[each] for each in options.contenders or starters}, options.rounds)
    report.contenders = {each: results.summary(some) for each, some in runs.items()}
    judge(report)
    report.notes.append(
        f"Requests by {load.generator()}; {len(prepared['short'])} texts of 55 to 65 tokens for one client, {len(prepared['drawn'])} "
        f"of {min(prepared['tokens'])} to {max(prepared['tokens'])} tokens, {sum(prepared['tokens']) / len(prepared['tokens']):.0f} on the "
        f"average, for {CLIENTS}; {options.rounds} rounds of {options.seconds:g} s: medians with their spread."
    )
    report.show(COLUMNS)
    report.write(options.json)


def requests(
    start: Callable[[], AbstractContextManager[servers.Live]], short: list[str], drawn: list[str], seconds: float
) -> Numbers:
    """Start a server, and measure it with one client, with many, and by its memory.

    The many start without a warm-up: some servers would still compute the requests that were open at its end.
    """
    with start() as live:
        load.ask(live.url, live.headers, short, 1, 1)
        alone = load.ask(live.url, live.headers, short, 1, seconds)
        many = load.ask(live.url, live.headers, drawn, CLIENTS, seconds)
        return {
            **{each: alone[each] for each in ("p50_ms", "p95_ms", "p99_ms")},
            "requests_per_s": many["requests_per_s"],
            "loaded_p50_ms": many["p50_ms"],
            "loaded_p99_ms": many["p99_ms"],
            "cold_start_s": live.cold_start,
            "memory_mb": memory.tree_peak(live.pid),
            "engine": live.engine,
        }


def judge(report: results.Results) -> None:
    """Call the raw engine that ftkit chose the limit, add ratios within each round, then the bars."""
    contenders = report.contenders
    limits = {each["engine"]: each for title, each in contenders.items() if title.startswith("limit_")}
    default = contenders.get("ftkit", {}).get("engine")
    if default in limits:
        del contenders[f"limit_{name(default)}"]
        contenders["limit"] = limits[default]
    base = contenders.get("original")
    latency, times = (0.15, 15) if "amx_bf16" in bf16_units() else (0.25, 7)
    for title, numbers in contenders.items():
        if base and title != "original":
            numbers["p50_of_original"] = results.ratio(numbers, base, "p50_ms")
            numbers["times_original"] = results.ratio(numbers, base, "requests_per_s")
        if title.startswith("ftkit"):
            limit = limits.get(numbers["engine"])
            if base:
                report.bars += [
                    results.Bar(
                        "p50 of one client, of the original's", title, numbers["p50_of_original"], most=latency
                    ),
                    results.Bar("throughput against the original", title, numbers["times_original"], least=times),
                ]
            if limit:
                numbers["share_of_limit"] = results.ratio(numbers, limit, "requests_per_s")
                what = f"throughput, of raw {numbers['engine']}"
                report.bars.append(results.Bar(what, title, numbers["share_of_limit"], least=0.85))


def name(engine: str) -> str:
    """An engine as part of a contender's name."""
    return engine.replace("-", "_")
