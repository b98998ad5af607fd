"""Whether answers stay the same when a text changes but its meaning does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.evaluation import charts, option_checks, verdicts
from ftkit.evaluation.contenders import decided, defect, probabilities_of, sample_rows
from ftkit.formatting import count, percent, quoted
from ftkit_strict.perturbations import KINDS, SENTENCES, Kind, perturb

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


NOT_IN_PAIRS: tuple[Kind, ...] = ("numbers", "added sentence")
"""Changes of one text that can change what two texts say of each other: they are not tried on pairs."""


@dataclass(frozen=True)
class Flips:
    """What one kind of change does to the answers."""

    kind: str
    rows: int
    """Rows that were changed."""
    share: float
    """Share of the answers that the change flips."""
    limit: float
    judged: bool
    """Whether there are rows enough."""

    @property
    def over(self) -> bool:
        """Whether it flips more answers than its limit allows."""
        return self.judged and self.share > self.limit + verdicts.ROUNDING


@dataclass(frozen=True, kw_only=True)
class Invariance:
    """Passes when typos, case, punctuation and the like flip hardly any answers.

    Every kind of change is tried on a sample of the test rows that it applies to; the run's seed draws it. Where rows have several
    labels, an answer flips with any of them. Pairs of texts are changed as one text; other numbers and added sentences are not
    tried on them, since these can change what two texts say of each other.

    Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", invariance tests.
    """

    name: ClassVar[str] = "invariance"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    kinds: tuple[Kind, ...] = KINDS
    """Which changes to try; they are made for English texts."""
    max_share: float = 0.1
    """The greatest share of answers that each kind of change may flip."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Another greatest share for single kinds, by their names."""
    rows: int = 200
    """How many rows to try each kind of change on."""
    min_rows: int = 20
    """Kinds of change that apply to fewer rows are shown but not judged."""
    place: Literal["start", "end"] = "start"
    """Where irrelevant sentences go; a model that reads only the beginning of long texts never sees the end."""
    sentences: tuple[str, ...] = SENTENCES
    """Irrelevant sentences to draw from."""

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds is empty: name at least one change")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds names a change twice")
        option_checks.in_range("max_share", self.max_share, 0, 1)
        for kind, limit in self.limits.items():
            if kind not in self.kinds:
                raise ValueError(f"limits names {kind!r}, which is none of the kinds: {', '.join(self.kinds)}")
            option_checks.in_range(f"limits.{kind}", limit, 0, 1)
        option_checks.at_least("rows", self.rows, 1)
        option_checks.at_least("min_rows", self.min_rows, 1)
        if "added sentence" in self.kinds and not any(each.strip() for each in self.sentences):
            raise ValueError("sentences is empty: give at least one, or leave 'added sentence' out of kinds")

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Ask the candidate about changed texts; the answer to the unchanged one is what the gate scored."""
        import numpy as np

        if reason := defect(candidate):
            return Verdict(self.name, "failed", f"answers cannot be compared: {reason}")
        texts = candidate.data.test.texts
        changes = [(kind, *change) for kind in self.kinds for change in self._changes(kind, candidate)]
        if not changes:
            return Verdict(self.name, "not applicable", "no change applies to any row")
        probabilities = probabilities_of(candidate, [changed for _, _, changed in changes])
        before = decided(candidate).answers[[row for _, row, _ in changes]]
        broken = ~np.isfinite(probabilities).all(axis=1)
        after = decided(replace(candidate, probabilities=np.where(broken[:, None], 0, probabilities))).answers
        flipped = broken | (after != before).any(axis=1)
        kinds = np.array([kind for kind, _, _ in changes])
        results = [self._flips(kind, flipped[kinds == kind]) for kind in self.kinds if (kinds == kind).any()]
        numbers: dict[str, float] = {}
        for each in results:
            numbers |= {f"{each.kind}: share": each.share, f"{each.kind}: rows": each.rows}
            numbers[f"{each.kind}: limit"] = each.limit
        judged = [each for each in results if each.judged]
        over = [each.kind for each in judged if each.over]
        met = not over and not broken.any()
        if not judged and met:
            most = max(each.rows for each in results)
            sentence = f"no change applies to the {self.min_rows} rows needed to judge it, at most to {most}"
            return Verdict(self.name, "not applicable", sentence, verdicts.finite_numbers(numbers), _chart(results))
        parts = []
        if judged:
            ordered = sorted(judged, key=lambda each: (not each.over, -each.share))
            parts.append("flipped by " + ", ".join(map(_described, ordered)))
        if over:
            _, row, changed = changes[next(place for place in np.flatnonzero(flipped) if kinds[place] in over)]
            parts.append(f"for instance row {row + 1} {_difference(texts[row], changed)}")
        if broken.any():
            numbers["not_finite"] = int(broken.sum())
            _, row, changed = changes[int(np.flatnonzero(broken)[0])]
            parts.append(
                f"{count(int(broken.sum()), 'changed text')} with probabilities that are not finite numbers, "
                f"the first is row {row + 1} {_difference(texts[row], changed)}"
            )
        if met:
            parts.append("all within their limits" if self.limits else f"at most {percent(self.max_share)} allowed")
        sentence = "; ".join(parts)
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers), _chart(results))

    def _flips(self, kind: Kind, flipped: np.ndarray) -> Flips:
        limit = self.limits.get(kind, self.max_share)
        return Flips(kind, len(flipped), float(flipped.mean()), limit, len(flipped) >= self.min_rows)

    def _changes(self, kind: Kind, candidate: Contender) -> list[tuple[int, str]]:
        """Rows and their changed texts, up to `rows` of them."""
        texts = candidate.data.test.texts
        changes: list[tuple[int, str]] = []
        if len(candidate.data.fields) > 1 and kind in NOT_IN_PAIRS:
            return changes
        for row in sample_rows(candidate, len(texts)):
            changed = perturb(kind, texts[row], f"{candidate.seed} {row}", self.place, self.sentences)
            if changed is not None:
                changes.append((row, changed))
                if len(changes) == self.rows:
                    break
        return changes


def _described(flips: Flips) -> str:
    limit = f" (at most {percent(flips.limit)})" if flips.over else ""
    return f"{flips.kind} {percent(flips.share)} of {flips.rows}{limit}"


def _difference(before: str, after: str) -> str:
    """Two texts in a sentence, from a little before the place where they begin to differ."""
    place = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = before.rfind(" ", 0, max(0, place - 15)) + 1
    lead = "…" if start else ""
    return f"{quoted(lead + before[start:])} as {quoted(lead + after[start:])}"


def _chart(results: Sequence[Flips]) -> str:
    """A bar for each kind of change, and its limit."""

    def draw(axes: Axes) -> None:
        for place, each in enumerate(results):
            colour = charts.BAD if each.over else charts.CALM
            axes.barh(place, 100 * each.share, color=colour, alpha=1.0 if each.judged else 0.4)
            axes.plot([100 * each.limit] * 2, [place - 0.4, place + 0.4], color=charts.INK, linewidth=1.5)
        axes.set_yticks(range(len(results)), [f"{each.kind} ({each.rows:,})" for each in results])
        axes.invert_yaxis()
        axes.set_xlabel("answers flipped, in percent (line: the limit)")

    return charts.svg("Answers flipped by changes that do not matter", draw, (6.0, 1.0 + 0.32 * len(results)))
