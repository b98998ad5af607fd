"""Whether added praise and blame move the model the way they should."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import Contender, Data, Verdict
from ftkit.errors import DataError
from ftkit.formatting import percent
from ftkit_strict import scoring
from ftkit_strict.asking import answers, sample
from ftkit_strict.perturbations import put

POSITIVE, NEGATIVE = "positive", "negative"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Passes when added praise raises the probability of the positive class and added blame that of the negative one.

    Each must be so on average, and few single rows may move the other way. By default this is for the classes `positive` and
    `negative`; with classes and phrases of your own it is for any.

    Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", directional expectation
    tests.
    """

    name: ClassVar[str] = "direction"
    positive: str | None = None
    """The class that `praise` must make more probable; `positive` when left out, where there is such a class."""
    negative: str | None = None
    """The class that `blame` must make more probable; `negative` when left out, where there is such a class."""
    praise: tuple[str, ...] = ("I love it.", "It is excellent.", "I am very happy with it.", "Highly recommended!")
    """Phrases to draw from, each of which speaks for the positive class."""
    blame: tuple[str, ...] = ("I hate it.", "It is terrible.", "I am very disappointed with it.", "Do not buy this!")
    """Phrases to draw from, each of which speaks for the negative class."""
    tolerance: float = 0.05
    """How far a probability may move the wrong way before the row counts."""
    max_share: float = 0.05
    """The greatest share of rows that may move the wrong way."""
    rows: int = 200
    """How many test rows to add phrases to."""
    place: Literal["start", "end"] = "start"
    """Where phrases go; a model that reads only the beginning of long texts never sees the end."""

    def __post_init__(self) -> None:
        scoring.in_range("tolerance", self.tolerance, 0, 1)
        scoring.in_range("max_share", self.max_share, 0, 1)
        scoring.at_least("rows", self.rows, 1)
        for name, phrases in (("praise", self.praise), ("blame", self.blame)):
            if not all(each.strip() for each in phrases):
                raise ValueError(f"{name} holds an empty phrase")
        if not self.praise and not self.blame:
            raise ValueError("praise and blame are both empty: give phrases for at least one")
        if self.positive is not None and self.positive == self.negative:
            raise ValueError("positive and negative must be different classes")

    def foresee(self, data: Data) -> None:
        """Look for the classes. Raises: DataError for a named one that is not there."""
        self._class(data.classes, "positive", self.positive, POSITIVE)
        self._class(data.classes, "negative", self.negative, NEGATIVE)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare probabilities with and without a phrase. Raises: DataError for a named class that is not there."""
        sides = [
            ("praise", self.praise, self._class(candidate.data.classes, "positive", self.positive, POSITIVE)),
            ("blame", self.blame, self._class(candidate.data.classes, "negative", self.negative, NEGATIVE)),
        ]
        asked = [(what, phrases, index) for what, phrases, index in sides if phrases and index is not None]
        if not asked:
            names = formatting.listing(candidate.data.classes)
            said = f"the classes are {names}: name those that praise and blame speak for by positive and negative"
            return Verdict(self.name, "not applicable", said)
        if reason := scoring.trouble(candidate):
            return Verdict(self.name, "failed", f"movements cannot be measured: {reason}")
        rows = sample(candidate, self.rows)
        parts: list[str] = []
        faults: list[str] = []
        numbers: dict[str, float] = {}
        for what, phrases, index in asked:
            part, fault, found = self._side(candidate, rows, what, phrases, index)
            parts.append(part)
            faults += [fault] if fault else []
            numbers |= found
        said = "; ".join([*parts, *faults])
        return Verdict(self.name, scoring.status(not faults), said, scoring.finite(numbers))

    def _side(
        self, candidate: Contender, rows: list[int], what: str, phrases: Sequence[str], index: int
    ) -> tuple[str, str, dict[str, float]]:
        """What was found about praise or about blame, what is wrong with it, and the numbers."""
        import numpy as np

        texts = candidate.data.test.texts
        changed = [
            put(random.Random(f"{what} {candidate.seed} {row}").choice(list(phrases)), texts[row], self.place)
            for row in rows
        ]
        found = answers(candidate, [*(texts[row] for row in rows), *changed])[:, index]
        before, after = found[: len(rows)], found[len(rows) :]
        name = formatting.printable(candidate.data.classes[index])
        if not np.isfinite(found).all():
            return f"{what} got probabilities that are no numbers", f"{what} cannot be judged", {}
        moved = after - before
        wrong = moved < -self.tolerance - 1e-12
        numbers = {
            f"{what}: mean": float(moved.mean()),
            f"{what}: wrong": float(wrong.mean()),
            f"{what}: rows": len(rows),
        }
        part = f"{what} moves {name} by {moved.mean():+.4f} on average and {percent(wrong.mean())} of {len(rows)} rows the wrong way"
        fault = ""
        if moved.mean() <= 1e-9:
            fault = f"{what} does not raise the probability of {name}"
        elif wrong.mean() > self.max_share + 1e-12:
            worst = int(moved.argmin())
            fault = (
                f"{what} may move {percent(self.max_share)} the wrong way: row {rows[worst] + 1} falls from {before[worst]:.3f} to "
                f"{after[worst]:.3f} as {formatting.quoted(changed[worst])}"
            )
        return part, fault, numbers

    def _class(self, classes: tuple[str, ...], option: str, asked: str | None, usual: str) -> int | None:
        """Index of the class a side is about; None where it is not named and not there."""
        if asked is None:
            return next((index for index, name in enumerate(classes) if name.lower() == usual), None)
        if asked not in classes:
            raise DataError(
                f"there is no class {asked!r}",
                where=f"{self.name}.{option}",
                hint=f"The classes of the data set are {formatting.listing(classes, 20)}.",
            )
        return classes.index(asked)
