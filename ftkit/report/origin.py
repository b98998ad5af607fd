"""What the run was made of and on: its data, its time, its machine, and the names of what it made."""

from __future__ import annotations

import statistics
from typing import Any

from ftkit import formatting
from ftkit.contracts import SPLITS
from ftkit.formatting import capital, printable
from ftkit.report import charts
from ftkit.report.facts import Facts
from ftkit.report.svg import inline

CLASSES = 40
"""Classes listed one by one."""


def data(facts: Facts) -> dict[str, Any]:
    """What the data report says."""
    report = facts.data
    if report is None:
        return {"rows": None, "dropped": [], "lengths": "", "damaged": ""}
    splits = [name for name in dict.fromkeys([*SPLITS, *report.counts]) if name in report.counts]
    totals = [sum(report.counts[name].values()) for name in splits]
    names = sorted(facts.classes, key=lambda each: -sum(report.counts[name].get(each, 0) for name in splits))
    if len(names) <= CLASSES:
        names = list(facts.classes)
    table = [
        (
            each,
            [
                (report.counts[name].get(each, 0), report.counts[name].get(each, 0) / total if total else 0.0)
                for name, total in zip(splits, totals, strict=True)
            ],
        )
        for each in names[:CLASSES]
    ]
    order = [name for name in dict.fromkeys(["p5", "p50", "p95", "max", *report.lengths]) if name in report.lengths]
    titles = {"p5": "5 % have at most", "p50": "half at most", "p95": "95 % at most", "max": "the longest"}
    return {
        "rows": {"splits": splits, "totals": totals, "table": table, "hidden": max(0, len(names) - CLASSES)},
        "dropped": [(name, number) for name, number in report.dropped.items() if number],
        "lengths": ", ".join(f"{titles.get(name, name)} {report.lengths[name]:,}" for name in order),
        "damaged": formatting.listing(map(str, report.damaged_lines), 20),
    }


def time(facts: Facts) -> dict[str, Any]:
    """How long stages and trials took."""
    names = {
        "data": "data",
        "search": "search",
        "select": "select",
        "test": "test",
        "register": "register",
        "deploy": "deploy",
    }
    stages = {names.get(name, name): seconds for name, seconds in facts.stages.items()}
    trials = {f"trial {each.number}": each.seconds for each in facts.trials if each.seconds > 0}
    best = f"trial {facts.best}" if facts.best is not None else ""
    said = f"The finished stages took {formatting.duration(facts.seconds)}." if stages else ""
    if trials:
        said += f" A trial took {formatting.duration(statistics.median(trials.values()))} in the median."
    return {
        "stages": inline(charts.bars(stages, "Time by stage"), "stages"),
        "trials": inline(charts.bars(trials, "Time by trial", strong=best), "durations") if len(trials) > 1 else None,
        "said": said.strip(),
        "cut": len(trials) > charts.BARS,
        "most": str(charts.BARS),
    }


def environment(facts: Facts) -> list[tuple[str, str]]:
    """What the run was carried out on."""
    titles = {
        "python": "Python",
        "system": "System",
        "processor": "Processor",
        "cores": "Cores",
        "bf16_units": "Units for bf16",
        "gpus": "Graphics cards",
    }
    found: list[tuple[str, str]] = []
    for key, value in facts.environment.items():
        if key == "versions" or value in (None, "", [], {}):
            continue
        if key == "memory_mb":
            found.append(("Memory", formatting.megabytes(float(value))))
        else:
            said = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            found.append((titles.get(key, capital(key.replace("_", " "))), said))
    versions = facts.environment.get("versions") or {}
    if versions:
        found.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return found


def origin(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """What names this run and its model beyond doubt."""
    record = facts.record
    found: list[tuple[str, str, bool]] = [("Run", facts.run, True)]
    if facts.bundle:
        found.append(("Bundle", facts.bundle, True))
    if facts.tested.get("champion"):
        found.append(("Champion's bundle", str(facts.tested["champion"]), True))
    if facts.version:
        found.append(("Registered as", f"version {facts.version}", False))
    if facts.endpoint:
        found.append(("Deployed as", f"{facts.deployment} at {facts.endpoint}", False))
    if record is not None:
        found += [("Promotion record", record.digest, True), ("Decided by", record.by, False)]
        found += [("Recipe's SHA-256", record.recipe, True), ("Made with", f"ftkit {record.ftkit}", False)]
    return [(title, {"text": printable(text), "code": code}) for title, text, code in found]
