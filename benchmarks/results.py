"""The results of a benchmark: medians with their spread as tables, the bars it is judged by, and all of it as JSON."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.turns import ROOT, Numbers
from ftkit.runs import provenance

MEANS = ("macro_f1", "auc")
"""Numbers that are reported as the mean over the rounds, since the rounds are seeds; all others as the median."""

FURTHER_DISTRIBUTIONS = (
    "onnx",
    "onnxruntime",
    "openvino",
    "fastapi",
    "starlette",
    "uvicorn",
    "optuna",
    "azureml-inference-server-http",
)
"""Distributions whose versions are reported here in addition to those of every run."""


@dataclass(frozen=True)
class Bar:
    """A limit for a number of a contender, and the measured value."""

    what: str
    contender: str
    found: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value is within the limit; NaN is not."""
        return self.found >= (-math.inf if self.least is None else self.least) and self.found <= (
            math.inf if self.most is None else self.most
        )

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"


@dataclass
class Results:
    """All results of one benchmark."""

    benchmark: str
    settings: Mapping[str, Any]
    contenders: dict[str, Numbers] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences that a reader of the numbers must know."""
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))
    """Average number of processes that wanted a core in the minute before the benchmark began."""

    def write(self, path: Path | None) -> None:
        """Write one object per contender, and beside them the machine, the versions and the settings."""
        if path is None:
            return
        machine: dict[str, Any] = provenance.described()
        versions: dict[str, str] = {**machine.pop("versions"), **_versions(FURTHER_DISTRIBUTIONS)}
        content: dict[str, Any] = {
            **self.contenders,
            "benchmark": self.benchmark,
            "settings": dict(self.settings),
            "machine": {**machine, "load_before": self.load_before, "commit": _commit()},
            "versions": versions,
            "bars": [{**asdict(bar), "met": bar.met} for bar in self.bars],
            "notes": self.notes,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def show(self, columns: Mapping[str, str]) -> None:
        """Print the contenders with a column for each of these numbers, then the bars and the notes."""
        print(table(["", *columns.values()], [[name, *cells(each, columns)] for name, each in self.contenders.items()]))
        if self.bars:
            print()
            print(
                table(
                    ["bar", "contender", "wanted", "found", ""],
                    [
                        [bar.what, bar.contender, bar.wanted, f"{bar.found:.3g}", "met" if bar.met else "**missed**"]
                        for bar in self.bars
                    ],
                )
            )
        machine = provenance.described()
        units = ", ".join(machine["bf16_units"]) or "none"
        about = f"{machine['cores']} cores of {machine['processor']} (units for bf16: {units})"
        print(f"\n{about}, load before: {self.load_before}.", *self.notes)


def summary(runs: Sequence[Numbers]) -> Numbers:
    """The medians of all numbers that the runs have in common, their spread, and the runs themselves."""
    names = [
        name for name, value in runs[0].items() if _is_number(value) and all(_is_number(run.get(name)) for run in runs)
    ]
    numbers: Numbers = {
        name: (statistics.fmean if name in MEANS else statistics.median)([run[name] for run in runs]) for name in names
    }
    numbers |= {name: value for name, value in runs[0].items() if isinstance(value, str)}
    numbers["spread"] = {name: [min(run[name] for run in runs), max(run[name] for run in runs)] for name in names}
    numbers["runs"] = list(runs)
    return numbers


def ratio(above: Numbers, below: Numbers, name: str) -> float:
    """The median over the rounds of one contender's number divided by another's of the same round; NaN for no rounds."""
    pairs = [
        (one[name], other[name])
        for one, other in zip(above.get("runs", ()), below.get("runs", ()), strict=False)
        if one.get(name) is not None and other.get(name)
    ]
    return statistics.median(one / other for one, other in pairs) if pairs else math.nan


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(numbers: Numbers, names: Iterable[str]) -> list[str]:
    """A contender's numbers as cells of a table, with their spread; empty where there is no number."""
    texts = []
    for name in names:
        value = numbers.get(name)
        if value is None:
            texts.append("")
            continue
        if not _is_number(value):
            texts.append(str(value))
            continue
        low, high = numbers.get("spread", {}).get(name, (value, value))
        texts.append(_rounded(value) + (f" ({_rounded(low)} to {_rounded(high)})" if low != high else ""))
    return texts


def _rounded(value: float) -> str:
    if value != value:
        return "–"
    if value == int(value) and abs(value) < 1e5:
        return f"{int(value)}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _versions(names: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    process = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return process.stdout.strip()
