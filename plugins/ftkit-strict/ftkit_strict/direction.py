"""Whether added praise and blame move probabilities in the right direction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Data, Task, Verdict
from ftkit.errors import DataError
from ftkit.evaluation import option_checks, verdicts
from ftkit.evaluation.contenders import defect, probabilities_of, sample_rows
from ftkit.formatting import percent
from ftkit_strict.perturbations import add_sentence

POSITIVE, NEGATIVE = "positive", "negative"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Passes when added praise raises the probability of the positive class and added blame that of the negative one.

    Both must hold on average, and only few rows may move the other way. The defaults are for the classes `positive` and
    `negative`; with your own classes and phrases the test fits any two classes.

    Source: Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", directional expectation
    tests.
    """

    name: ClassVar[str] = "direction"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
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
        option_checks.in_range("tolerance", self.tolerance, 0, 1)
        option_checks.in_range("max_share", self.max_share, 0, 1)
        option_checks.at_least("rows", self.rows, 1)
        for name, phrases in (("praise", self.praise), ("blame", self.blame)):
            if not all(each.strip() for each in phrases):
                raise ValueError(f"{name} holds an empty phrase")
        if not self.praise and not self.blame:
            raise ValueError("praise and blame are both empty: give phrases for at least one")
        if self.positive is not None and self.positive == self.negative:
            raise ValueError("positive and negative must be different classes")

    def foresee(self, data: Data) -> None:
        """Look for the classes. Raises: DataError for a named class that the data set does not have."""
        self._class(data.classes, "positive", self.positive, POSITIVE)
        self._class(data.classes, "negative", self.negative, NEGATIVE)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare probabilities with and without a phrase. Raises: DataError as `foresee` does."""
        if len(candidate.data.fields) > 1:
            return Verdict(self.name, "not applicable", "praise and blame say nothing about a pair of texts")
        sides = [
            ("praise", self.praise, self._class(candidate.data.classes, "positive", self.positive, POSITIVE)),
            ("blame", self.blame, self._class(candidate.data.classes, "negative", self.negative, NEGATIVE)),
        ]
        known_sides = [(side, phrases, index) for side, phrases, index in sides if phrases and index is not None]
        if not known_sides:
            names = formatting.listing(candidate.data.classes)
            sentence = f"the classes are {names}: name those of praise and blame by the options positive and negative"
            return Verdict(self.name, "not applicable", sentence)
        if reason := defect(candidate):
            return Verdict(self.name, "failed", f"probabilities cannot be compared: {reason}")
        rows = sample_rows(candidate, self.rows)
        parts: list[str] = []
        faults: list[str] = []
        numbers: dict[str, float] = {}
        for side, phrases, index in known_sides:
            part, fault, side_numbers = self._side(candidate, rows, side, phrases, index)
            parts.append(part)
            faults += [fault] if fault else []
            numbers |= side_numbers
        sentence = "; ".join([*parts, *faults])
        return Verdict(self.name, verdicts.status(not faults), sentence, verdicts.finite_numbers(numbers))

    def _side(
        self, candidate: Contender, rows: list[int], side: str, phrases: Sequence[str], index: int
    ) -> tuple[str, str, dict[str, float]]:
        """How praise or blame moves the class with this index: a sentence, the fault if there is one, and the numbers."""
        import numpy as np

        texts = candidate.data.test.texts
        changed = [
            add_sentence(random.Random(f"{side} {candidate.seed} {row}").choice(list(phrases)), texts[row], self.place)
            for row in rows
        ]
        probabilities = probabilities_of(candidate, [*(texts[row] for row in rows), *changed])[:, index]
        before, after = probabilities[: len(rows)], probabilities[len(rows) :]
        name = formatting.printable(candidate.data.classes[index])
        if not np.isfinite(probabilities).all():
            return f"{side} gets probabilities that are not finite numbers", f"{side} cannot be judged", {}
        moved = after - before
        wrong = moved < -self.tolerance - verdicts.ROUNDING
        numbers = {
            f"{side}: mean": float(moved.mean()),
            f"{side}: wrong": float(wrong.mean()),
            f"{side}: rows": len(rows),
        }
        part = (
            f"{side} moves {name} by {moved.mean():+.4f} on average and {percent(wrong.mean())} "
            f"of {formatting.count(len(rows), 'row')} the wrong way"
        )
        fault = ""
        if moved.mean() <= 1e-9:
            fault = f"{side} does not raise the probability of {name}"
        elif wrong.mean() > self.max_share + verdicts.ROUNDING:
            worst = int(moved.argmin())
            fault = (
                f"{side} may move at most {percent(self.max_share)} the wrong way: row {rows[worst] + 1} falls from {before[worst]:.3f} to "
                f"{after[worst]:.3f} as {formatting.quoted(changed[worst])}"
            )
        return part, fault, numbers

    def _class(self, classes: tuple[str, ...], option: str, name: str | None, default: str) -> int | None:
        """Index of the class that an option names; None where it names none and there is none of the default name."""
        if name is None:
            return next((index for index, each in enumerate(classes) if each.lower() == default), None)
        if name not in classes:
            raise DataError(
                f"there is no class {name!r}",
                where=f"{self.name}.{option}",
                hint=f"The classes of the data set are {formatting.listing(classes, 20)}.",
            )
        return classes.index(name)
