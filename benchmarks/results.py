"""What a run of a benchmark found: medians with their spread as tables, the bars it is judged by, and all of it as JSON."""

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
"""Numbers of which the mean over the rounds is told, since the rounds are seeds; of all others the median."""

BESIDE = (
    "onnx",
    "onnxruntime",
    "openvino",
    "fastapi",
    "starlette",
    "uvicorn",
    "optuna",
    "azureml-inference-server-http",
)
"""Distributions whose versions matter here, beside those that matter to every run."""


@dataclass(frozen=True)
class Bar:
    """A ratio that is wanted of a contender, and what was found."""

    what: str
    contender: str
    found: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the ratio is as wanted; what is no number is not."""
        return self.found >= (-math.inf if self.least is None else self.least) and self.found <= (
            math.inf if self.most is None else self.most
        )

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"


@dataclass
class Results:
    """Everything a run found."""

    benchmark: str
    settings: Mapping[str, Any]
    contenders: dict[str, Numbers] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences that a reader of the numbers must know."""
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))
    """Processes that wanted a core, on the average of the last minute before it began."""

    def write(self, path: Path | None) -> None:
        """One object per contender, and beside them what it all was measured on and asked for."""
        if path is None:
            return
        about: dict[str, Any] = provenance.described()
        versions: dict[str, str] = {**about.pop("versions"), **_versions(BESIDE)}
        said: dict[str, Any] = {
            **self.contenders,
            "benchmark": self.benchmark,
            "settings": dict(self.settings),
            "machine": {**about, "load_before": self.load_before, "commit": _commit()},
            "versions": versions,
            "bars": [{**asdict(bar), "met": bar.met} for bar in self.bars],
            "notes": self.notes,
        }
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    def show(self, columns: Mapping[str, str]) -> None:
        """Print the contenders, a column for each of these numbers under its title, then the bars and the notes."""
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
        about = provenance.described()
        print(f"\n{about['cores']} cores of {about['processor']}, load before: {self.load_before}.", *self.notes)


def summary(runs: Sequence[Numbers]) -> Numbers:
    """The medians of all numbers that the runs have in common, their spread, and the runs themselves."""
    names = [
        name for name, value in runs[0].items() if _is_number(value) and all(_is_number(run.get(name)) for run in runs)
    ]
    found: Numbers = {
        name: (statistics.fmean if name in MEANS else statistics.median)([run[name] for run in runs]) for name in names
    }
    found |= {name: value for name, value in runs[0].items() if isinstance(value, str)}
    found["spread"] = {name: [min(run[name] for run in runs), max(run[name] for run in runs)] for name in names}
    found["runs"] = list(runs)
    return found


def ratio(above: Numbers, below: Numbers, name: str) -> float:
    """The median over the rounds of one contender's number divided by another's of the same round; NaN where there is none."""
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
    """A contender's numbers as cells of a table, each with its spread where there is one; empty where there is no number."""
    found = []
    for name in names:
        value = numbers.get(name)
        if value is None:
            found.append("")
            continue
        if not _is_number(value):
            found.append(str(value))
            continue
        low, high = numbers.get("spread", {}).get(name, (value, value))
        found.append(_said(value) + (f" ({_said(low)} to {_said(high)})" if low != high else ""))
    return found


def _said(value: float) -> str:
    if value != value:
        return "–"
    if value == int(value) and abs(value) < 1e5:
        return f"{int(value)}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
