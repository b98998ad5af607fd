"""Which rows candidate and champion answer differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Status, Task, Verdict
from ftkit.evaluation import charts, decisions, option_checks, verdicts
from ftkit.evaluation.contenders import class_mismatch, decided, defect, labels_of, matched
from ftkit.formatting import percent

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

MAX_CHART_CLASSES = 12
"""A table of more classes cannot be read at a glance."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Shows the rows on which candidate and champion answer differently; fails only below `at_least`.

    Rows with several labels are answered alike where all their labels are the same.
    """

    name: ClassVar[str] = "agreement"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    at_least: float | None = None
    """The share of rows that both must answer alike; no share is required when left out."""
    show: int = 3
    """How many of the rows that differ to name in the sentence, the surest changes first."""

    def __post_init__(self) -> None:
        if self.at_least is not None:
            option_checks.in_range("at_least", self.at_least, 0, 1)
        option_checks.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the answers row by row; rows are counted from 1."""
        import numpy as np

        if champion is None:
            return verdicts.no_champion(self.name)
        unclear: Status = "not applicable" if self.at_least is None else "failed"
        if mismatch := class_mismatch(champion):
            return Verdict(self.name, unclear, mismatch)
        both = matched(candidate, champion)
        candidate, champion = both.candidate, both.champion
        for contender in (candidate, champion):
            if reason := defect(contender):
                return Verdict(self.name, unclear, f"the answers cannot be compared: {reason}")
        labels, task, classes = labels_of(candidate), candidate.data.task, candidate.data.classes
        if task == "multi-label":  # by the labels that both know
            columns = list(both.classes)
            truth, classes = labels[:, columns], tuple(classes[index] for index in columns)
        else:
            columns, truth = list(range(len(classes))), np.eye(len(classes), dtype=np.int64)[labels]
        own, other = decided(candidate), decided(champion)
        answers, champion_answers = (each.answers[:, columns] for each in (own, other))
        right, champion_right = ((each == truth).all(axis=1) for each in (answers, champion_answers))
        differ = np.flatnonzero((answers != champion_answers).any(axis=1))
        share = 1 - len(differ) / len(labels)
        met = self.at_least is None or share >= self.at_least - verdicts.ROUNDING
        gained, lost = int((right & ~champion_right).sum()), int((~right & champion_right).sum())
        neither = len(differ) - gained - lost
        rows = formatting.count(len(labels), "row")
        sentence = f"{candidate.title} and {champion.title} answer {percent(share)} of {rows} alike"
        if self.at_least is not None:
            sentence += f" (at least {percent(self.at_least)} required)"
        if len(differ):
            sentence += f"; of {len(differ):,} that differ, the candidate alone is right on {gained}, the champion alone on {lost}"
            sentence += f", neither on {neither}"
            surest = np.minimum(own.certainty, other.certainty)
            order = differ[np.argsort(-surest[differ], kind="stable")][: self.show]
            texts = candidate.data.test.texts
            examples = [
                f"row {both.rows[row] + 1} {formatting.quoted(texts[row])} "
                f"{decisions.named(champion_answers[row], classes)} → {decisions.named(answers[row], classes)}"
                for row in order
            ]
            sentence += f": {formatting.printable('; '.join(examples))}" if examples else ""
        sentence += both.note
        numbers = {"agreement": share, "differ": len(differ), "gained": gained, "lost": lost, "neither": neither}
        numbers |= {f"differs {place}": float(row + 1) for place, row in enumerate(both.rows[differ[:20]], 1)}
        chart = None
        if len(differ) and task != "multi-label":
            chart = _chart(answers.argmax(axis=1), champion_answers.argmax(axis=1), classes)
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers), chart)


def _chart(answers: np.ndarray, champion_answers: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """A table of rows by the champion's answer and the candidate's."""
    import numpy as np

    if len(classes) > MAX_CHART_CLASSES:
        return None
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (champion_answers, answers), 1)

    def draw(axes: Axes) -> None:
        most = max(1, int((table - np.diag(np.diag(table))).max()))
        for row, column in np.ndindex(*table.shape):
            if row != column:  # only what differs is tinted, over whatever colour the page has
                axes.axhspan(
                    row - 0.5,
                    row + 0.5,
                    xmin=column / len(classes),
                    xmax=(column + 1) / len(classes),
                    color=charts.BAD,
                    alpha=0.6 * table[row, column] / most,
                    linewidth=0,
                )
            axes.text(column, row, f"{table[row, column]:,}", ha="center", va="center")
        names = [formatting.printable(name)[:20] for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(classes)), names)
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.set_xlabel("the candidate's answer")
        axes.set_ylabel("the champion's answer")

    side = 2.2 + 0.5 * len(classes)
    return charts.svg("Answers of champion and candidate", draw, (side + 0.8, side))
