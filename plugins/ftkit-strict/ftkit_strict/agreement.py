"""Where candidate and champion differ: for the eye, and for whoever wants to limit surprises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Status, Verdict
from ftkit.evaluation import charts
from ftkit.formatting import percent
from ftkit_strict import scoring

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Shows the rows on which candidate and champion answer differently; fails only when asked to."""

    name: ClassVar[str] = "agreement"
    at_least: float | None = None
    """The share of rows on which both must answer the same; nothing is demanded when left out."""
    show: int = 3
    """How many of the rows that differ to name in the sentence, the surest changes first."""

    def __post_init__(self) -> None:
        if self.at_least is not None:
            scoring.in_range("at_least", self.at_least, 0, 1)
        scoring.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the answers row by row; rows are counted from 1."""
        import numpy as np

        if champion is None:
            return scoring.no_champion(self.name)
        if verdict := scoring.foreign(champion, self.name):
            return verdict if self.at_least is not None else Verdict(self.name, "not applicable", verdict.sentence)
        for contender in (candidate, champion):
            if reason := scoring.trouble(contender):
                judged: Status = "failed" if self.at_least is not None else "not applicable"
                return Verdict(self.name, judged, f"the answers cannot be compared: {reason}")
        labels = scoring.labels_of(candidate)
        mine, theirs = candidate.probabilities.argmax(axis=1), champion.probabilities.argmax(axis=1)
        differ = np.flatnonzero(mine != theirs)
        share = 1 - len(differ) / len(labels)
        good = self.at_least is None or share >= self.at_least - 1e-12
        gained = int(((mine == labels) & (theirs != labels)).sum())
        lost = int(((mine != labels) & (theirs == labels)).sum())
        neither = len(differ) - gained - lost
        said = f"{candidate.title} and {champion.title} answer {percent(share)} of {formatting.count(len(labels), 'row')} alike"
        if self.at_least is not None:
            said += f", {percent(self.at_least)} are asked for"
        if len(differ):
            said += f"; of {len(differ):,} that differ, {gained} are won, {lost} lost and {neither} wrong either way"
            surest = np.minimum(candidate.probabilities.max(axis=1), champion.probabilities.max(axis=1))
            order = differ[np.argsort(-surest[differ], kind="stable")][: self.show]
            classes, texts = candidate.data.classes, candidate.data.test.texts
            rows = [
                f"row {row + 1} {formatting.quoted(texts[row])} {classes[theirs[row]]} → {classes[mine[row]]}"
                for row in order
            ]
            said += f": {formatting.printable('; '.join(rows))}" if rows else ""
        numbers = {"agreement": share, "differ": len(differ), "gained": gained, "lost": lost, "neither": neither}
        numbers |= {f"differs {place}": float(row + 1) for place, row in enumerate(differ[:20], 1)}
        drawing = self._figure(mine, theirs, candidate.data.classes) if len(differ) else None
        return Verdict(self.name, scoring.status(good), said, scoring.finite(numbers), drawing)

    def _figure(self, mine: np.ndarray, theirs: np.ndarray, classes: tuple[str, ...]) -> str | None:
        """Rows by the champion's answer and the candidate's."""
        import numpy as np

        if len(classes) > 12:
            return None  # a square of more is no longer read at a glance
        table = np.zeros((len(classes), len(classes)), dtype=int)
        np.add.at(table, (theirs, mine), 1)

        def draw(axes: Axes) -> None:
            most = max(1, int((table - np.diag(np.diag(table))).max()))
            for row, column in np.ndindex(*table.shape):
                if row != column:  # only what differs is tinted, over whatever colour the page has
                    strength = 0.6 * table[row, column] / most
                    axes.axhspan(
                        row - 0.5,
                        row + 0.5,
                        xmin=column / len(classes),
                        xmax=(column + 1) / len(classes),
                        color=charts.BAD,
                        alpha=strength,
                        linewidth=0,
                    )
                axes.text(column, row, f"{table[row, column]:,}", ha="center", va="center")
            names = [formatting.printable(each)[:20] for each in classes]
            axes.set_xticks(range(len(classes)), names, rotation=30, ha="right")
            axes.set_yticks(range(len(classes)), names)
            axes.set_xlim(-0.5, len(classes) - 0.5)
            axes.set_ylim(len(classes) - 0.5, -0.5)
            axes.set_xlabel("the candidate's answer")
            axes.set_ylabel("the champion's answer")

        side = 2.2 + 0.5 * len(classes)
        return charts.svg("Answers of champion and candidate", draw, (side + 0.8, side))
