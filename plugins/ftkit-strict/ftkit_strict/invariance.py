"""Whether answers stay the same when a text changes in ways that do not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.evaluation import charts
from ftkit.formatting import percent
from ftkit_strict import scoring
from ftkit_strict.asking import answers, sample
from ftkit_strict.perturbations import KINDS, SENTENCES, Kind, changed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Invariance:
    """Passes when typos, case, punctuation and the like flip hardly any answers.

    Every kind of change is tried on a sample of the test rows that it applies to; the run's seed draws it.

    Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", invariance tests.
    """

    name: ClassVar[str] = "invariance"
    kinds: tuple[Kind, ...] = KINDS
    """Which changes to try; they are made for English texts."""
    max_share: float = 0.1
    """The greatest share of answers that each kind of change may flip."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Another greatest share for single kinds, by their names."""
    rows: int = 200
    """How many rows to try each kind of change on."""
    min_rows: int = 20
    """Kinds of change that apply to fewer rows are shown, not judged."""
    place: Literal["start", "end"] = "start"
    """Where irrelevant sentences go; a model that reads only the beginning of long texts never sees the end."""
    sentences: tuple[str, ...] = SENTENCES
    """Irrelevant sentences to draw from."""

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds is empty: name at least one change")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds names a change twice")
        scoring.in_range("max_share", self.max_share, 0, 1)
        for kind, limit in self.limits.items():
            if kind not in self.kinds:
                raise ValueError(f"limits names {kind!r}, which is none of the kinds: {', '.join(self.kinds)}")
            scoring.in_range(f"limits.{kind}", limit, 0, 1)
        scoring.at_least("rows", self.rows, 1)
        scoring.at_least("min_rows", self.min_rows, 1)
        if "added sentence" in self.kinds and not any(each.strip() for each in self.sentences):
            raise ValueError("sentences is empty: give at least one, or leave 'added sentence' out of kinds")

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Ask the candidate about changed texts; the answer to the unchanged one is what the gate scored."""
        import numpy as np

        if reason := scoring.trouble(candidate):
            return Verdict(self.name, "failed", f"answers cannot be compared: {reason}")
        tried = [(kind, *each) for kind in self.kinds for each in self._changes(kind, candidate)]
        if not tried:
            return Verdict(self.name, "not applicable", "no change applies to any row")
        found = answers(candidate, [after for _, _, after in tried])
        before = np.asarray(candidate.probabilities).argmax(axis=1)
        broken = ~np.isfinite(found).all(axis=1)
        flipped = broken | (np.where(broken[:, None], 0, found).argmax(axis=1) != before[[row for _, row, _ in tried]])
        kinds = np.array([kind for kind, _, _ in tried])
        numbers: dict[str, float] = {}
        shares: list[tuple[str, float, int]] = []
        over: list[str] = []
        for kind in self.kinds:
            count = int((kinds == kind).sum())
            if not count:
                continue
            share = float(flipped[kinds == kind].mean())
            shares.append((kind, share, count))
            numbers |= {f"{kind}: share": share, f"{kind}: rows": count, f"{kind}: limit": self._limit(kind)}
            if count >= self.min_rows and share > self._limit(kind) + 1e-12:
                over.append(kind)
        judged = [each for each in shares if each[2] >= self.min_rows]
        if broken.any():
            numbers["not_finite"] = int(broken.sum())
            over = over or ["probabilities that are no numbers"]
        if not judged and not over:
            most = max(count for _, _, count in shares)
            said = f"no change applies to the {self.min_rows} rows needed to judge it, at most to {most}"
            return Verdict(self.name, "not applicable", said, scoring.finite(numbers), self._figure(shares))
        order = sorted(judged, key=lambda each: (each[0] not in over, -each[1]))
        said = "flipped by " + ", ".join(
            f"{kind} {percent(share)} of {count}" + (f" (at most {percent(self._limit(kind))})" if kind in over else "")
            for kind, share, count in order
        )
        if over:
            worst = next((place for place in np.flatnonzero(flipped) if kinds[place] in over or broken[place]), None)
            if worst is not None:
                _, row, after = tried[worst]
                said += f"; for instance row {row + 1} {scoring.change(candidate.data.test.texts[row], after)}"
            if broken.any():
                said += f"; {formatting.count(int(broken.sum()), 'changed text')} got probabilities that are no numbers"
        else:
            said += (
                f"; at most {percent(self.max_share)} is allowed" if not self.limits else "; all within their limits"
            )
        return Verdict(self.name, scoring.status(not over), said, scoring.finite(numbers), self._figure(shares))

    def _limit(self, kind: str) -> float:
        return self.limits.get(kind, self.max_share)

    def _changes(self, kind: Kind, candidate: Contender) -> list[tuple[int, str]]:
        """Rows and their changed texts, as many as asked for."""
        texts = candidate.data.test.texts
        found: list[tuple[int, str]] = []
        for row in sample(candidate, len(texts)):
            after = changed(kind, texts[row], f"{candidate.seed} {row}", self.place, self.sentences)
            if after is not None:
                found.append((row, after))
                if len(found) == self.rows:
                    break
        return found

    def _figure(self, shares: Sequence[tuple[str, float, int]]) -> str:
        """A bar for each kind of change, and its limit."""

        def draw(axes: Axes) -> None:
            for place, (kind, share, count) in enumerate(shares):
                judged = count >= self.min_rows
                over = judged and share > self._limit(kind) + 1e-12
                axes.barh(place, 100 * share, color=charts.BAD if over else charts.CALM, alpha=1.0 if judged else 0.4)
                axes.plot([100 * self._limit(kind)] * 2, [place - 0.4, place + 0.4], color=charts.INK, linewidth=1.5)
            axes.set_yticks(range(len(shares)), [f"{kind} ({count:,})" for kind, _, count in shares])
            axes.invert_yaxis()
            axes.set_xlabel("answers flipped, in percent (line: the limit)")

        return charts.svg("Answers flipped by changes that do not matter", draw, (6.0, 1.0 + 0.32 * len(shares)))
