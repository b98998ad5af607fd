"""Whether test rows were seen in training: what a model has by heart is no sign of what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.data import near_duplicates
from ftkit.data.near_duplicates import Twin, twins
from ftkit.evaluation import charts
from ftkit.formatting import percent
from ftkit_strict import scoring

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Passes when hardly any test row has a copy or a near copy among the training rows.

    Copies have the same words in the same order, whatever their case and punctuation; near copies share a large part of their
    word sequences, by Jaccard similarity. Pairs are looked for by MinHash and measured exactly.

    Source: Broder 1997, "On the resemblance and containment of documents"; Lee et al. 2022, "Deduplicating Training Data Makes
    Language Models Better".
    """

    name: ClassVar[str] = "leakage"
    max_share: float = 0.01
    """The greatest share of test rows that may have a copy or near copy in training."""
    threshold: float = near_duplicates.THRESHOLD
    """Jaccard similarity from which a pair counts as near copies; 1 is for copies only."""
    shingle: int = near_duplicates.SHINGLE
    """Length in words of the sequences that texts are compared by."""
    show: int = 2
    """How many pairs to name in the sentence, the most similar first."""

    def __post_init__(self) -> None:
        scoring.in_range("max_share", self.max_share, 0, 1)
        scoring.in_range("threshold", self.threshold, 0.2, 1)
        scoring.at_least("shingle", self.shingle, 1)
        scoring.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the test rows with the training rows; rows are counted from 1 within their split."""
        data = candidate.data
        if not len(data.test):
            return Verdict(self.name, "failed", "the test split has no rows")
        if not len(data.train):
            return Verdict(self.name, "not applicable", "there are no training rows to compare with")
        found = twins(data.test.texts, data.train.texts, self.threshold, self.shingle, candidate.seed)
        copies = sum(each.similarity == 1 for each in found)
        share = len(found) / len(data.test)
        good = share <= self.max_share + 1e-12
        said = (
            f"{len(found):,} of {formatting.count(len(data.test), 'test row')} ({percent(share)}) are in the training split too, "
            f"{copies:,} word for word and {len(found) - copies:,} nearly; at most {percent(self.max_share)} is allowed"
        )
        other = sum(data.test.labels[each.row] != data.train.labels[each.other] for each in found)
        if other:
            said += f"; {other:,} have another label there"
        worst = sorted(found, key=lambda each: -each.similarity)
        if pairs := [self._pair(each, data.test.texts, data.train.texts) for each in worst[: self.show]]:
            said += f": {'; '.join(pairs)}"
        numbers = {"share": share, "copies": copies, "near_copies": len(found) - copies, "other_label": other}
        numbers |= {"max_share": self.max_share}
        for place, each in enumerate(worst[:10], 1):
            numbers |= {f"pair {place}: test row": each.row + 1, f"pair {place}: training row": each.other + 1}
            numbers |= {f"pair {place}: similarity": each.similarity}
        drawing = self._figure(found) if found else None
        return Verdict(self.name, scoring.status(good), said, scoring.finite(numbers), drawing)

    def _pair(self, twin: Twin, texts: Sequence[str], others: Sequence[str]) -> str:
        mine, theirs = formatting.quoted(texts[twin.row], 40), formatting.quoted(others[twin.other], 40)
        return f"test row {twin.row + 1} {mine} and training row {twin.other + 1} {theirs} ({twin.similarity:.2f})"

    def _figure(self, found: Sequence[Twin]) -> str:
        """How similar the pairs are."""

        def draw(axes: Axes) -> None:
            steps = [self.threshold + (1 - self.threshold) * step / 15 for step in range(16)]
            edges = steps if self.threshold < 1 else [0.95, 1.05]
            axes.hist([each.similarity for each in found], bins=edges, color=charts.BAD)
            axes.set_xlabel("similarity to the nearest training row; 1: word for word")
            axes.set_ylabel("test rows")

        return charts.svg("Test rows that are in the training split too", draw)
