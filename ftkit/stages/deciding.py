"""The rule by which the selected model will answer: given by the recipe, or learned on validation rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import options
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Backbone, Classifier, Data, Split
from ftkit.contracts.deciding import Abstain, AnswerRule, Decision
from ftkit.contracts.plan import Plan
from ftkit.errors import DataError, LedgerError
from ftkit.evaluation import answer_rules, decisions, threshold_tuning
from ftkit.evaluation.selective_risk import Promise, Rows, promise
from ftkit.formatting import percent
from ftkit.plugins.calls import call
from ftkit.runs.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np


def rule(plan: Plan, ledger: Ledger, data: Data, backbone: Any, model: Path) -> AnswerRule | None:
    """The rule of the trained model in this folder; None where the recipe asks for nothing.

    Thresholds are tuned on the validation rows, which chose the model; what is promised is tested on the rows that were kept back.
    Raises: DataError where the risk cannot be promised.
    """
    decision = plan.decision
    if decision.thresholds is None and decision.abstain is None:
        return None
    thresholds, settings = dict(decision.given), options.to_table(decision)
    if not (decision.tuned or decision.promises):
        below = decision.abstain.below if decision.abstain else None
        return AnswerRule(thresholds=thresholds, below=below or 0.0, abstains=below is not None, settings=settings)
    classifier = call(Backbone.load, backbone, model)
    probabilities = call(Classifier.probabilities, classifier, data.valid.texts)
    labels = decisions.targets(data.valid.labels, len(data.classes), data.task)
    if decision.tuned:
        thresholds = threshold_tuning.tuned(
            probabilities, labels, data.classes, data.task, plan.search.metric, decision.least_rows
        )
    abstain = decision.abstain
    if abstain is None or abstain.risk is None:
        below = abstain.below if abstain else None
        return AnswerRule(thresholds=thresholds, below=below or 0.0, abstains=below is not None, settings=settings)
    plain = AnswerRule(thresholds=thresholds)
    kept_back = ledger.kept_back()
    if not len(kept_back):
        raise _impossible(abstain, Promise(None, 0.0, 1.0, math.inf), 0)
    tested = _rows(call(Classifier.probabilities, classifier, kept_back.texts), kept_back, data, plain)
    outcome = promise(_rows(probabilities, data.valid, data, plain), tested, abstain.risk, abstain.confidence)
    if outcome.below is None:
        raise _impossible(abstain, outcome, len(kept_back))
    return AnswerRule(
        thresholds=thresholds,
        below=outcome.below,
        abstains=True,
        risk=abstain.risk,
        confidence=abstain.confidence,
        rows=len(kept_back),
        settings=settings,
    )


def check_unchanged(plan: Plan, ledger: Ledger) -> None:
    """Raises: LedgerError where the run's bundle was made by another `[decision]` than the recipe has now."""
    made = bundles.verify(ledger.folder / "bundle").rule
    wanted = {} if plan.decision == Decision() else options.to_table(plan.decision)
    if (dict(made.settings) if made is not None else {}) != wanted and (made is not None or _changes(plan.decision)):
        raise LedgerError(
            "the run has made its bundle by another [decision] than the recipe has now",
            where=str(ledger.folder),
            hint="Bring the section back, or begin a new run: give the command with --fresh.",
        )


def _changes(decision: Decision) -> bool:
    return decision.thresholds is not None or decision.abstain is not None


def _rows(probabilities: np.ndarray, split: Split, data: Data, plain: AnswerRule) -> Rows:
    import numpy as np

    decided = answer_rules.decide(probabilities, data.classes, data.task, plain)
    labels = decisions.targets(split.labels, len(data.classes), data.task)
    truth = labels if labels.ndim == 2 else np.eye(len(data.classes), dtype=np.int64)[labels]
    return Rows(np.asarray(decided.certainty, dtype=np.float64), (decided.answers == truth).all(axis=1))


def _impossible(abstain: Abstain, outcome: Promise, rows: int) -> DataError:
    """That no threshold can promise the risk, with what could be done."""
    hints = []
    if outcome.least_risk < 1:
        hints.append(f"these rows could promise a risk of about {math.ceil(1000 * outcome.least_risk) / 1000:g}")
    if math.isfinite(outcome.rows):
        # Half of the validation rows are kept back.
        hints.append(f"the risk asked for needs about {2 * math.ceil(outcome.rows):,} validation rows")
    else:
        hints.append("more validation rows alone would not do, it takes a better model")
    return DataError(
        f"no threshold of certainty promises that at most {percent(abstain.risk or 0)} of the answers are wrong, with a confidence of "
        f"{percent(abstain.confidence)}, by the {rows:,} validation rows that were kept back",
        where="decision.abstain",
        hint=f"{'; '.join(hints).capitalize()}. Change it and give the same command: nothing is trained again.",
    )
