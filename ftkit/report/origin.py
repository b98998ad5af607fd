"""The last sections of the page: the run's data, its time, its machine, and what identifies its results."""

from __future__ import annotations

import statistics
from typing import Any

from ftkit import formatting
from ftkit.contracts import SPLITS
from ftkit.data import description
from ftkit.formatting import capital, printable
from ftkit.report import trial_charts
from ftkit.report.facts import Facts
from ftkit.report.svg import inline

CLASSES = 40
"""The most classes that are listed one by one."""


def data(facts: Facts) -> dict[str, Any]:
    """The data report: rows by class and split, what was dropped, and the lengths of the texts."""
    report = facts.data
    if report is None:
        return {"rows": None, "dropped": [], "lengths": "", "damaged": "", "how_read": [], "tokens": ""}
    splits = [name for name in dict.fromkeys([*SPLITS, *report.counts]) if name in report.counts]
    totals = [report.sizes[name] for name in splits]
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
        "how_read": description.how_read(report),
        "tokens": description.what_is_seen(report.tokens),
    }


def time(facts: Facts) -> dict[str, Any]:
    """How long stages and trials took."""
    trials = {f"trial {each.number}": each.seconds for each in facts.trials if each.seconds > 0}
    best = f"trial {facts.best}" if facts.best is not None else ""
    sentences = [f"The finished stages took {formatting.duration(facts.seconds)}."] if facts.stages else []
    if trials:
        sentences.append(f"The median trial took {formatting.duration(statistics.median(trials.values()))}.")
    return {
        "stages": inline(trial_charts.bars(facts.stages, "Time by stage"), "stages"),
        "trials": inline(trial_charts.bars(trials, "Time by trial", highlighted=best), "durations")
        if len(trials) > 1
        else None,
        "text": " ".join(sentences),
        "cut": len(trials) > trial_charts.BARS,
        "most": str(trial_charts.BARS),
    }


def environment(facts: Facts) -> list[tuple[str, str]]:
    """The machine and the versions that the run used."""
    titles = {
        "python": "Python",
        "system": "System",
        "processor": "Processor",
        "cores": "Cores",
        "bf16_units": "bf16 units",
        "gpus": "GPUs",
    }
    entries: list[tuple[str, str]] = []
    for key, value in facts.environment.items():
        if key == "versions" or value in (None, "", [], {}):
            continue
        if key == "memory_mb":
            entries.append(("Memory", formatting.megabytes(float(value))))
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            entries.append((titles.get(key, capital(key.replace("_", " "))), text))
    versions = facts.environment.get("versions") or {}
    if versions:
        entries.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return entries


def origin(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """The identifiers and hashes of the run, its model and its promotion record."""
    record = facts.record
    entries: list[tuple[str, str, bool]] = [("Run", facts.run, True)]
    if facts.bundle:
        entries.append(("Bundle", facts.bundle, True))
    if facts.decision is not None and facts.decision.champion:
        entries.append(("Champion's bundle", facts.decision.champion["bundle"], True))
    if facts.version:
        entries.append(("Registered as", f"version {facts.version}", False))
    if facts.endpoint:
        entries.append(("Deployed as", f"{facts.deployment} at {facts.endpoint}", False))
    if record is not None:
        entries += [("Promotion record", record.digest, True), ("Decided by", record.by, False)]
        entries += [("Recipe's SHA-256", record.recipe, True), ("Made with", f"ftkit {record.ftkit}", False)]
    return [(title, {"text": printable(text), "code": code}) for title, text, code in entries]
