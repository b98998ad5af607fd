"""How probabilities become answers: what a recipe asks for in `[decision]`, and the rule that a bundle keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

UNSURE = "unsure"
"""What stands for the answer of a text that gets none where people read it, as in a terminal: no class may be called so."""


@dataclass(frozen=True, kw_only=True)
class Abstain:
    """When a model gives no answer, because it is unsure: give `risk` or `below`."""

    name: ClassVar[str] = "abstain"
    risk: float | None = None
    """The share of wrong answers that is promised not to be exceeded, such as 0.05; texts are left unanswered as far as that needs."""
    confidence: float = 0.9
    """How surely the promise of `risk` holds: the probability, over the draw of the validation rows, that it is kept."""
    below: float | None = None
    """A text is answered only if the probability of its answer, or of its least sure label, is at least this."""

    def __post_init__(self) -> None:
        if (self.risk is None) == (self.below is None):
            raise ValueError("give one of risk and below: a risk to promise, or the certainty that an answer needs")
        for name in ("risk", "below", "confidence"):
            value = vars(self)[name]
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} must be above 0 and below 1")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How the model that is selected turns probabilities into answers."""

    thresholds: Literal["tuned"] | Mapping[str, float] | None = None
    """The probability from which a label is given: `"tuned"` on the validation rows by the recipe's metric, or by label; else 0.5."""
    least_rows: int = 30
    """A threshold is tuned only for labels that so many validation rows have, and as many have not; the others keep 0.5."""
    abstain: Abstain | None = None
    """When a text gets no answer, because the model is unsure of it; left out, every text gets one."""

    def __post_init__(self) -> None:
        if self.least_rows < 1:
            raise ValueError("least_rows must be at least 1")
        for name, threshold in self.given.items():
            if not 0 < threshold < 1:
                raise ValueError(f"the threshold of {name[:60]!r} must be above 0 and below 1")

    @property
    def given(self) -> Mapping[str, float]:
        """The thresholds that the recipe gives by label."""
        return self.thresholds if isinstance(self.thresholds, Mapping) else {}

    @property
    def tuned(self) -> bool:
        """Whether thresholds are tuned on the validation rows."""
        return self.thresholds == "tuned"

    @property
    def promises(self) -> bool:
        """Whether a risk is promised, for which validation rows are kept back from the choice of the model."""
        return self.abstain is not None and self.abstain.risk is not None


@dataclass(frozen=True, kw_only=True)
class AnswerRule:
    """How one model turns probabilities into answers; without values as every model does, by the greatest or from 0.5 on."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """The probability from which a label is given, by label: of several labels any, of two classes at most one of them."""
    below: float = 0.0
    """A text whose answer is less certain than this is not answered."""
    abstains: bool = False
    """Whether texts may stay without an answer."""
    risk: float | None = None
    """The promised bound on the share of wrong answers among those that are given."""
    confidence: float | None = None
    """How surely the promise holds."""
    rows: int | None = None
    """The validation rows that the promise was tested on."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The recipe's section, as values of TOML."""

    def table(self) -> dict[str, Any]:
        """It as a bundle's manifest holds it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def sentence(self) -> str:
        """It in a sentence or two, for a reader of a report or model card; empty where it changes nothing."""
        parts = []
        if self.thresholds:
            shown = [f"{name} from {value:.4g} on" for name, value in list(self.thresholds.items())[:20]]
            more = len(self.thresholds) - len(shown)
            parts.append(f"Thresholds: {', '.join(shown)}{f' and {more} more' if more else ''}.")
        if self.abstains:
            sentence = (
                f"A text whose answer has a probability below {self.below:.4g} is left unanswered (null, or unsure)"
            )
            if self.risk is not None and self.confidence is not None:
                sentence += (
                    f", so that at most {100 * self.risk:g} % of the answers are wrong, with a confidence of "
                    f"{100 * self.confidence:g} % by {self.rows:,} validation rows"
                )
            parts.append(f"{sentence}.")
        return " ".join(parts)


def answer_rule(table: Mapping[str, Any]) -> AnswerRule:
    """The rule of which `AnswerRule.table` made this. Raises: TypeError; ValueError for values that no rule has."""
    known = {name: table[name] for name in AnswerRule.__dataclass_fields__ if name in table}
    rule = AnswerRule(**known)
    values = [*rule.thresholds.values(), rule.below]
    if not all(isinstance(each, int | float) and math.isfinite(each) and 0 <= each <= 1 for each in values):
        raise ValueError("thresholds are probabilities")
    return rule
