"""What the answers to the test rows show: metrics, mistakes, flipped rows, parts, certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.evaluation import metrics
from ftkit.formatting import capital, count, percent, rounded
from ftkit.report import answers as read
from ftkit.report import charts
from ftkit.report.facts import Answers, Facts
from ftkit.report.svg import inline

if TYPE_CHECKING:
    import numpy as np

CLASSES = 20
"""Classes up to which there is a matrix."""


def scores(facts: Facts, rows: Sequence[read.Row]) -> dict[str, Any] | None:
    """The table of test metrics; without intervals where the answers were not kept."""
    if rows and facts.answers is not None:
        said = count(len(facts.answers.labels), "row") + " of the test split"
        return {
            "rows": said,
            "table": _first(rows, facts.metric),
            "bounded": True,
            "paired": facts.answers.champion is not None,
        }
    kept = facts.tested.get("metrics") or {}
    if not kept:
        return None
    table = [
        read.Row(metrics.TITLES.get(name, name), name, 0, read.Measure(math.nan if value is None else float(value)))
        for name, value in kept.items()
    ]
    return {"rows": "the test split", "table": _first(table, facts.metric), "bounded": False, "paired": False}


def _first(rows: Sequence[read.Row], metric: str) -> list[read.Row]:
    return sorted(rows, key=lambda each: each.metric != metric)


def errors(facts: Facts, answers: Answers) -> dict[str, Any]:
    """Where the candidate is wrong."""
    table = read.confusion(answers.candidate, answers.labels)
    worst = read.worst(answers)
    rows = len(answers.labels)
    said = f"The candidate is wrong on {worst.total:,} of {count(rows, 'test row')}, {percent(worst.total / rows)}."
    if answers.champion is not None:
        wrong = int((answers.champion.argmax(axis=1) != answers.labels).sum())
        said += f" {capital(facts.champion)} is wrong on {wrong:,}, {percent(wrong / rows)}."
    few = len(answers.data.classes) <= CLASSES
    theirs = read.confusion(answers.champion, answers.labels) if few and answers.champion is not None else None
    return {
        "said": said,
        "matrix": table.tolist() if few else None,
        "theirs": theirs.tolist() if theirs is not None else None,
        "pairs": _confusions(table, answers.data.classes) if len(answers.data.classes) > 2 else [],
        "worst": worst,
        "paired": answers.champion is not None,
    }


def _confusions(table: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The commonest pairs of label and wrong answer."""
    found = [
        (int(table[truth, said]), truth, said)
        for truth in range(len(classes))
        for said in range(len(classes))
        if truth != said and table[truth, said]
    ]
    found.sort(key=lambda each: (-each[0], each[1], each[2]))
    most = 8 if len(classes) <= CLASSES else 30
    return [
        {"truth": classes[truth], "said": classes[said], "rows": rows, "share": rows / table[truth].sum()}
        for rows, truth, said in found[:most]
    ]


def changed(facts: Facts, answers: Answers, flips: read.Flips) -> dict[str, Any]:
    """The rows on which candidate and champion differ."""
    rows = len(answers.labels)
    said = (
        f"Candidate and {facts.champion} answer {flips.agree:,} of {count(rows, 'row')} alike. The candidate fixes "
        f"{flips.fixed.total:,} and breaks {flips.broken.total:,}"
    )
    said += f"; {flips.other:,} more are wrong in different ways. " if flips.other else ". "
    if flips.fixed.total + flips.broken.total:
        said += (
            f"Were both equally good, a split as uneven as this would come about by chance with probability "
            f"{flips.p:.2g} (McNemar's exact test)."
        )
    return {"said": said, "fixed": flips.fixed, "broken": flips.broken}


def slices(facts: Facts, answers: Answers) -> dict[str, Any]:
    """The metric on parts of the rows."""
    rows = read.sliced(answers, facts.metric)
    title = metrics.TITLES.get(facts.metric, facts.metric)
    measured = {_measure(each) for each in rows if _measure(each) != title}
    said = f"{capital(title)} on the rows of each class, by the length of the text in words, and by the values of further columns."
    if "recall" in measured:
        said += " Rows of one class are measured by recall, the share of them that is recognised."
    worse = [each for each in rows if each.gain is not None and each.gain.high < 0]
    if worse:
        named = formatting.listing([each.title for each in worse], 6)
        said += f" Marked with a cross, because worse than with {facts.champion} beyond its interval: {named}."
    return {
        "said": said,
        "figure": inline(charts.forest(rows, f"{title} or recall" if "recall" in measured else title), "slices"),
        "table": [
            {
                **{name: getattr(each, name) for name in ("title", "rows", "candidate", "champion", "gain")},
                "measure": _measure(each),
            }
            for each in rows
        ],
        "paired": answers.champion is not None,
    }


def _measure(row: read.Row) -> str:
    return "recall" if row.metric == "accuracy" and row.title.startswith("class ") else metrics.TITLES[row.metric]


def certainty(facts: Facts, answers: Answers) -> dict[str, Any]:
    """How far the probabilities can be believed."""
    mine = read.reliable(answers.candidate, answers.labels)
    theirs = read.reliable(answers.champion, answers.labels) if answers.champion is not None else None
    sure = float((mine.certainty * mine.rows).sum() / mine.rows.sum())
    right = float((mine.right * mine.rows).sum() / mine.rows.sum())
    said = (
        f"On average the candidate is {percent(sure)} certain, and right on {percent(right)} of the rows. "
        f"Expected calibration error {rounded(mine.error)}, Brier score {rounded(mine.brier)}"
    )
    said += (
        f"; {facts.champion} has {rounded(theirs.error)} and {rounded(theirs.brier)}." if theirs is not None else "."
    )
    table = [
        {"rows": int(rows), "certainty": float(sure), "right": float(hit)}
        for rows, sure, hit in zip(mine.rows, mine.certainty, mine.right, strict=True)
    ]
    return {"said": said, "figure": inline(charts.reliability(mine, theirs), "certainty"), "table": table}
