"""Whether test rows were seen in training: on these a model needs only to remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.data import near_duplicates
from ftkit.data.near_duplicates import Twin, twins
from ftkit.evaluation import charts, option_checks, verdicts
from ftkit.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Passes when hardly any test row has a copy or a near copy among the training rows.

    Copies have the same words in the same order, whatever their case and punctuation; near copies share a large part of their
    word sequences, by Jaccard similarity. MinHash proposes the pairs, and their similarity is computed exactly.

    Source: Broder 1997, "On the resemblance and containment of documents"; Lee et al. 2022, "Deduplicating Training Data Makes
    Language Models Better".
    """

    name: ClassVar[str] = "leakage"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    max_share: float = 0.01
    """The greatest share of test rows that may have a copy or near copy in training."""
    threshold: float = near_duplicates.THRESHOLD
    """Jaccard similarity from which two texts are near copies; 1 is for copies only."""
    shingle: int = near_duplicates.SHINGLE
    """Words in each of the sequences that texts are compared by."""
    show: int = 2
    """How many pairs to name in the sentence, the most similar first."""

    def __post_init__(self) -> None:
        option_checks.in_range("max_share", self.max_share, 0, 1)
        option_checks.in_range("threshold", self.threshold, 0.2, 1)
        option_checks.at_least("shingle", self.shingle, 1)
        option_checks.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the test rows with the training rows; rows are counted from 1 within their split."""
        data = candidate.data
        if not len(data.test):
            return Verdict(self.name, "failed", "the test split has no rows")
        if not len(data.train):
            return Verdict(self.name, "not applicable", "there are no training rows to compare with")
        pairs = twins(data.test.texts, data.train.texts, self.threshold, self.shingle, candidate.seed)
        copies = sum(each.similarity == 1 for each in pairs)
        share = len(pairs) / len(data.test)
        met = share <= self.max_share + verdicts.ROUNDING
        sentence = (
            f"{len(pairs):,} of {formatting.count(len(data.test), 'test row')} ({percent(share)}) are in the training split too, "
            f"{copies:,} word for word and {len(pairs) - copies:,} nearly; at most {percent(self.max_share)} is allowed"
        )
        other_label = sum(data.test.labels[each.row] != data.train.labels[each.other] for each in pairs)
        if other_label:
            sentence += f"; {other_label:,} have another label there"
        worst = sorted(pairs, key=lambda each: -each.similarity)
        if examples := [_pair(each, data.test.texts, data.train.texts) for each in worst[: self.show]]:
            sentence += f": {'; '.join(examples)}"
        numbers = {"share": share, "copies": copies, "near_copies": len(pairs) - copies, "other_label": other_label}
        numbers |= {"max_share": self.max_share}
        for place, each in enumerate(worst[:10], 1):
            numbers |= {f"pair {place}: test row": each.row + 1, f"pair {place}: training row": each.other + 1}
            numbers |= {f"pair {place}: similarity": each.similarity}
        chart = self._chart(pairs) if pairs else None
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers), chart)

    def _chart(self, pairs: Sequence[Twin]) -> str:
        """A histogram of the similarity of the pairs."""

        def draw(axes: Axes) -> None:
            steps = [self.threshold + (1 - self.threshold) * step / 15 for step in range(16)]
            edges = steps if self.threshold < 1 else [0.95, 1.05]
            axes.hist([each.similarity for each in pairs], bins=edges, color=charts.BAD)
            axes.set_xlabel("similarity to the nearest training row; 1: word for word")
            axes.set_ylabel("test rows")

        return charts.svg("Test rows that are in the training split too", draw)


def _pair(twin: Twin, texts: Sequence[str], train_texts: Sequence[str]) -> str:
    text, train_text = formatting.quoted(texts[twin.row], 40), formatting.quoted(train_texts[twin.other], 40)
    return f"test row {twin.row + 1} {text} and training row {twin.other + 1} {train_text} ({twin.similarity:.2f})"
