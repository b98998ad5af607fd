"""Requests: the original's scoring script, a plain pipeline behind FastAPI, ftkit's endpoint and the raw engine, in one run.

    python -m benchmarks serve [--data PATH] [--rows N] [--seconds S] [--rounds N] [--json FILE]

Each request carries one text. One client asks about texts of some 60 tokens, for the latency; 32 clients ask about texts
as long as they come in the data, for the throughput. Clients and server share the machine. `ftkit` answers by the engine that
its endpoint finds to be the fastest here; `limit` is that engine in a loop without any server; `ftkit_NAME` and `limit_NAME`
are the other engines. The encoder is the quickstart's with an untrained head, which costs the same as a trained one. The
contenders take turns, and each starts anew for each measurement; its cold start is the time from the command to the first
answer, its memory the sum of the peaks of its processes. Where wrk is installed it asks, else threads of Python.
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

    parser = command.parser("serve", __doc__, 500, "different texts to ask about")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each contender is asked in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="*", help="engines beside torch's; all that can be made here when not given")
    parser.add_argument(
        "--contenders", nargs="+", help="only these, by their names in the table; `limit` is a `limit_NAME`"
    )
    asked = parser.parse_args(arguments)
    found = results.Results("serve", command.settings(asked))
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"FTKIT_HOME": f"{folder}/home", "FTKIT_CACHE": f"{folder}/cache"}
        data = str(asked.data.resolve()) if asked.data else None
        made = measured("benchmarks.servers:prepare", folder=folder, data=data, count=asked.rows, engines=asked.engines)
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(made), encoding="utf-8")
        bundle, model, first = Path(made["bundle"]), Path(made["model"]), made["short"][0]
        ways: dict[str, Callable[[int], Numbers]] = {}

        def serving(start: Callable[[], AbstractContextManager[servers.Live]]) -> Callable[[int], Numbers]:
            return lambda _: requests(start, made["short"], made["drawn"], asked.seconds)

        def looping(engine: str) -> Callable[[int], Numbers]:
            about = {"bundle": str(bundle), "texts": str(texts), "seconds": asked.seconds, "engine": engine}
            return lambda _: measured("benchmarks.servers:raw", server.environment(), **about, begun=time.time())

        try:
            ways["original"] = serving(partial(servers.original, servers.scoring_python(), model, first))
        except servers.Unavailable as why:
            found.notes.append(str(why))
        ways["pipeline"] = serving(partial(servers.pipeline, model, first))
        default = servers.default_engine()
        ways["ftkit"] = serving(partial(servers.ftkit, bundle, default, first))
        for engine in made["engines"]:
            if engine != default:
                ways[f"ftkit_{name(engine)}"] = serving(partial(servers.ftkit, bundle, engine, first))
            ways[f"limit_{name(engine)}"] = looping(engine)
        if unknown := set(asked.contenders or ways) - set(ways):
            parser.error(
                "; ".join(
                    [f"no such contenders: {', '.join(sorted(unknown))}", f"there are {', '.join(ways)}", *found.notes]
                )
            )
        runs = rounds({each: ways[each] for each in asked.contenders or ways}, asked.rounds)
    found.contenders = {each: results.summary(some) for each, some in runs.items()}
    judge(found)
    found.notes.append(
        f"Asked by {load.generator()}; {len(made['short'])} texts of 55 to 65 tokens for one client, {len(made['drawn'])} "
        f"of {min(made['tokens'])} to {max(made['tokens'])} tokens, {sum(made['tokens']) / len(made['tokens']):.0f} on the "
        f"average, for {CLIENTS}; {asked.rounds} rounds of {asked.seconds:g} s: medians with their spread."
    )
    found.show(COLUMNS)
    found.write(asked.json)


def requests(
    start: Callable[[], AbstractContextManager[servers.Live]], short: list[str], drawn: list[str], seconds: float
) -> Numbers:
    """Start a server, ask it as one client and as many, and look at what it holds.

    The many come without a warm-up: what they had not been told at its end, some servers would still compute.
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


def judge(found: results.Results) -> None:
    """Name the limit of what ftkit does by itself, add ratios within each round, then the bars."""
    contenders = found.contenders
    limits = {each["engine"]: each for title, each in contenders.items() if title.startswith("limit_")}
    default = contenders.get("ftkit", {}).get("engine")
    if default in limits:
        del contenders[f"limit_{name(default)}"]
        contenders["limit"] = limits[default]
    base = contenders.get("original")
    for title, mine in contenders.items():
        if base and title != "original":
            mine["p50_of_original"] = results.ratio(mine, base, "p50_ms")
            mine["times_original"] = results.ratio(mine, base, "requests_per_s")
        if title.startswith("ftkit"):
            limit = limits.get(mine["engine"])
            if base:
                found.bars += [
                    results.Bar("p50 of one client, of the original's", title, mine["p50_of_original"], most=1 / 25),
                    results.Bar("throughput against the original", title, mine["times_original"], least=12),
                ]
            if limit:
                mine["share_of_limit"] = results.ratio(mine, limit, "requests_per_s")
                what = f"throughput, of raw {mine['engine']}"
                found.bars.append(results.Bar(what, title, mine["share_of_limit"], least=0.85))


def name(engine: str) -> str:
    """An engine as part of a contender's name."""
    return engine.replace("-", "_")
