"""The sections of the page on the test rows: metrics, mistakes, flipped rows, parts, certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.evaluation import decisions, metrics
from ftkit.evaluation.slices import measured_by
from ftkit.formatting import capital, count, percent, rounded
from ftkit.report import answers as results
from ftkit.report import row_charts
from ftkit.report.facts import Answers, Facts
from ftkit.report.svg import inline

if TYPE_CHECKING:
    import numpy as np

UNSURE_ROWS = " Such a row counts here, and in all metrics, by the answer that it would have got."
CLASSES = 20
"""The most classes for which a confusion matrix is shown."""


def scores(facts: Facts, rows: Sequence[results.Row]) -> dict[str, Any] | None:
    """The table of test metrics; without intervals where the answers were not kept."""
    if rows and facts.answers is not None:
        return {
            "rows": count(len(facts.answers.labels), "row") + " of the test split",
            "table": _first(rows, facts.metric),
            "bounded": True,
            "paired": facts.answers.champion is not None,
        }
    measured = facts.metrics
    if not measured:
        return None
    table = [
        results.Row(
            metrics.TITLES.get(name, name), name, 0, results.Measure(math.nan if value is None else float(value))
        )
        for name, value in measured.items()
    ]
    return {"rows": "the test split", "table": _first(table, facts.metric), "bounded": False, "paired": False}


def _first(rows: Sequence[results.Row], metric: str) -> list[results.Row]:
    return sorted(rows, key=lambda each: each.metric != metric)


def errors(facts: Facts, answers: Answers) -> dict[str, Any]:
    """Where the candidate is wrong."""
    worst = results.worst(answers)
    rows = len(answers.labels)
    text = f"The candidate is wrong on {worst.total:,} of {count(rows, 'test row')}, {percent(worst.total / rows)}."
    if answers.rule is not None and answers.rule.sentence:
        text += f" {answers.rule.sentence}" + UNSURE_ROWS * answers.rule.abstains
    own, other = answers.given
    if other is not None:
        wrong = int((~decisions.right_rows(other, answers.labels)).sum())
        text += f" {capital(facts.champion)} is wrong on {wrong:,}, {percent(wrong / rows)}."
    if answers.data.task == "multi-label":
        return {
            "text": f"{text} A row is right where it gets exactly its labels.",
            "labels": results.label_metrics(answers),
            "matrix": None,
            "champion_matrix": None,
            "pairs": [],
            "worst": worst,
            "paired": answers.champion is not None,
        }
    table = results.confusion(own, answers.labels)
    few = len(answers.data.classes) <= CLASSES
    champion = results.confusion(other, answers.labels) if few and other is not None else None
    return {
        "text": text,
        "labels": [],
        "matrix": table.tolist() if few else None,
        "champion_matrix": champion.tolist() if champion is not None else None,
        "pairs": _confusions(table, answers.data.classes) if len(answers.data.classes) > 2 else [],
        "worst": worst,
        "paired": answers.champion is not None,
    }


def _confusions(table: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The most frequent pairs of label and wrong answer."""
    pairs = [
        (int(table[truth, answer]), truth, answer)
        for truth in range(len(classes))
        for answer in range(len(classes))
        if truth != answer and table[truth, answer]
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    most = 8 if len(classes) <= CLASSES else 30
    return [
        {"truth": classes[truth], "answer": classes[answer], "rows": rows, "share": rows / table[truth].sum()}
        for rows, truth, answer in pairs[:most]
    ]


def changed(facts: Facts, answers: Answers, flips: results.Flips) -> dict[str, Any]:
    """The rows on which candidate and champion differ."""
    rows = len(answers.labels)
    text = (
        f"Candidate and {facts.champion} give the same answer to {flips.agree:,} of {count(rows, 'row')}. The candidate "
        f"fixes {flips.fixed.total:,} and breaks {flips.broken.total:,}"
    )
    text += f"; on {flips.other:,} more both are wrong, with different answers. " if flips.other else ". "
    if flips.fixed.total + flips.broken.total:
        text += (
            f"If both were equally good, a split at least this uneven would occur by chance with probability "
            f"{flips.p:.2g} (McNemar's exact test)."
        )
    return {"text": text, "fixed": flips.fixed, "broken": flips.broken}


def slices(facts: Facts, answers: Answers) -> dict[str, Any]:
    """The metric on parts of the rows."""
    rows = results.sliced(answers, facts.metric)
    title = metrics.TITLES.get(facts.metric, facts.metric)
    measured = {_measure(each) for each in rows if _measure(each) != title}
    text = f"{capital(title)} by class, by the length of the text in words, and by the values of further columns."
    if answers.data.task == "multi-label":
        text += " A label is measured by the decisions on it in all rows."
    if "recall" in measured:
        text += " Rows of one class are measured by recall: the share of them that gets the right answer."
    worse = [each for each in rows if each.gain is not None and each.gain.high < 0]
    if worse:
        titles = formatting.listing([each.title for each in worse], 6)
        text += (
            f" A cross marks parts that are worse than with {facts.champion} by more than the interval of the "
            f"difference: {titles}."
        )
    return {
        "text": text,
        "chart": inline(row_charts.forest(rows, f"{title} or recall" if "recall" in measured else title), "slices"),
        "table": [
            {
                **{name: getattr(each, name) for name in ("title", "rows", "candidate", "champion", "gain")},
                "measure": _measure(each),
            }
            for each in rows
        ],
        "paired": answers.champion is not None,
    }


def _measure(row: results.Row) -> str:
    return measured_by(row.title, row.metric)


def certainty(facts: Facts, answers: Answers) -> dict[str, Any]:
    """How well the probabilities match the share of right answers."""
    candidate = results.reliability_bins(answers.candidate, answers.labels)
    champion = results.reliability_bins(answers.champion, answers.labels) if answers.champion is not None else None
    certain = float((candidate.certainty * candidate.rows).sum() / candidate.rows.sum())
    right = float((candidate.right * candidate.rows).sum() / candidate.rows.sum())
    counted = "decisions on a label" if answers.data.task == "multi-label" else "rows"
    text = (
        f"On average the candidate is {percent(certain)} certain, and right on {percent(right)} of the {counted}. "
        f"Expected calibration error {rounded(candidate.error)}, Brier score {rounded(candidate.brier)}"
    )
    if champion is not None:
        text += f"; {facts.champion} has {rounded(champion.error)} and {rounded(champion.brier)}"
    table = [
        {"rows": int(rows), "certainty": float(certain), "right": float(right)}
        for rows, certain, right in zip(candidate.rows, candidate.certainty, candidate.right, strict=True)
    ]
    chart = inline(row_charts.reliability(candidate, champion), "certainty")
    return {"text": f"{text}.", "chart": chart, "table": table}
