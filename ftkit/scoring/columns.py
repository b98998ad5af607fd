"""The columns that answers add to a table: their names, and the values of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import UsageError

if TYPE_CHECKING:
    from ftkit.contracts import AnswerRule, Probabilities, Task

BETWEEN = "|"
"""What stands between the labels of a text in a form that has no lists."""


@dataclass(frozen=True)
class AnswerColumns:
    """Which columns a model's answers have."""

    classes: tuple[str, ...]
    scores: bool
    """Whether each class has a column with its score."""
    prefix: str = ""
    """What all names of these columns begin with."""
    task: Task = "single-label"
    rule: AnswerRule | None = None
    """How the model decides on answers, if not as every model does."""

    @property
    def several(self) -> bool:
        """Whether an answer is a list of labels."""
        return self.task == "multi-label"

    @property
    def label(self) -> str:
        return f"{self.prefix}label"

    @property
    def score(self) -> str:
        """The name of the column with the score of the label."""
        return f"{self.prefix}score"

    @property
    def abstains(self) -> bool:
        """Whether a text may stay without a label, because the model is unsure."""
        return self.rule is not None and self.rule.abstains

    @property
    def abstained(self) -> str:
        """The name of the column that says of which texts the model is unsure."""
        return f"{self.prefix}abstained"

    @property
    def of_classes(self) -> tuple[str, ...]:
        """The names of the columns with a score for each class, in the order of the classes."""
        return safe_names(f"{self.prefix}score_", self.classes) if self.scores else ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return (self.label, self.score, *((self.abstained,) if self.abstains else ()), *self.of_classes)

    def check(self, present: Sequence[str], path: str) -> None:
        """Raises: UsageError where the table has a column of such a name, written in any case."""
        theirs = {name.casefold(): name for name in present}
        if clashes := [theirs[name.casefold()] for name in self.names if name.casefold() in theirs]:
            raise UsageError(
                f"the file has a column {clashes[0]!r} already, which the answers would have",
                where=path,
                hint=f"Give the columns of the answers other names: --prefix {self.prefix}predicted_",
            )

    def answers(self, texts: Sequence[str | None], probabilities: Probabilities) -> list[Any]:
        """The answer to each text as an endpoint gives it with scores, None for a row without a text.

        `probabilities` are (texts that are there, classes).
        """
        from ftkit.serving.schema import answer

        remaining = iter(answer(probabilities, self.classes, True, self.task, self.rule))
        return [None if text is None else next(remaining) for text in texts]

    def values(self, answers: Sequence[Mapping[str, Any] | None]) -> dict[str, list[Any]]:
        """The columns of some rows with these answers, None in each for a row without one."""
        columns = {
            self.label: [each and each["label"] for each in answers],
            self.score: [each and each["score"] for each in answers],
        }
        if self.abstains:
            columns[self.abstained] = [each and each["abstained"] for each in answers]
        for name, column in zip(self.classes, self.of_classes, strict=False):
            columns[column] = [each and each["scores"][name] for each in answers]
        return columns


def joined(label: Any) -> Any:
    """A label as one value: several labels of a text are joined by `BETWEEN`, as `table` reads them."""
    return BETWEEN.join(map(str, label)) if isinstance(label, list | tuple) else label


def safe_names(prefix: str, classes: Sequence[str]) -> tuple[str, ...]:
    """A column's name for each class: letters, digits and underscores alone, no two alike in any case."""
    taken: set[str] = set()
    names = []
    for name in classes:
        plain = prefix + ("".join(each if each.isalnum() else "_" for each in name) or "_")
        number, distinct = 2, plain
        while distinct.casefold() in taken:
            distinct, number = f"{plain}_{number}", number + 1
        taken.add(distinct.casefold())
        names.append(distinct)
    return tuple(names)
