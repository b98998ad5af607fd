"""What a recipe's `[decision]` asks for that the data cannot give: known before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

from ftkit.contracts import Data
from ftkit.contracts.deciding import UNSURE, Decision
from ftkit.data.class_names import shown_name
from ftkit.errors import DataError
from ftkit.evaluation.answer_rules import OF_PROBABILITIES
from ftkit.evaluation.metrics import TITLES
from ftkit.evaluation.selective_risk import least_rows
from ftkit.formatting import count, listing


def check(decision: Decision, data: Data, metric: str) -> None:
    """Look at classes, task, metric and validation rows. Raises: DataError for the first thing that cannot be."""
    for option, what, hint in _mistakes(decision, data, metric):
        raise DataError(what, where=f"decision.{option}", hint=hint)


def _mistakes(decision: Decision, data: Data, metric: str) -> Iterator[tuple[str, str, str]]:
    several = data.task == "multi-label"
    if decision.thresholds is not None and not several and len(data.classes) != 2:
        yield (
            "thresholds",
            f"a text gets the most probable one of {len(data.classes)} classes; thresholds are for two classes or several labels",
            "Leave thresholds out; `class_weights` of an encoder favours rare classes.",
        )
    if decision.tuned and metric in OF_PROBABILITIES:
        yield (
            "thresholds",
            f"no threshold changes {TITLES[metric]}, by which they would be tuned",
            "Set search.metric to a metric of the answers, or give the thresholds by label.",
        )
    classes = f"The classes are {listing(map(shown_name, data.classes), 20)}."
    for name in decision.given:
        if name not in data.classes:
            yield "thresholds", f"there is no class {shown_name(name)}", classes
    if decision.given and not several and len(decision.given) > 1:
        yield (
            "thresholds",
            "of two classes one has a threshold: the other is answered below it",
            "Leave one of them out.",
        )
    abstain = decision.abstain
    if abstain is None:
        return
    if taken := [name for name in data.classes if name.casefold() == UNSURE]:
        yield (
            "abstain",
            f"a class is called {shown_name(taken[0])}, as a text without an answer is",
            "Give it another name: `labels` of most data sets does that.",
        )
    if abstain.risk is not None:
        needed = least_rows(abstain.risk, abstain.confidence)
        # As many rows as chose the model are kept back from it, or one less.
        if len(data.valid) < needed:
            what = (
                f"a risk of {abstain.risk:g} with a confidence of {abstain.confidence:g} needs at least "
                f"{count(needed, 'row')} to test it on, and half of the validation rows are about {len(data.valid):,}"
            )
            yield "abstain", what, f"Give the validation split at least {2 * needed:,} rows, or promise less."
