"""Everything about a run that its report shows, read from the run's folder: of finished, failed and interrupted runs.

No plugin of the run is needed, no model is loaded, and the test split stays closed until the promotion tests opened it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import strict_json
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts import AnswerRule, Data, DataReport, Task, Trial, Verdict
from ftkit.contracts.events import BudgetSpent
from ftkit.contracts.preference import Preference
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.disclosure import without_secrets
from ftkit.errors import FtkitError
from ftkit.evaluation import decisions
from ftkit.evaluation.answer_rules import OF_PROBABILITIES, moved
from ftkit.evaluation.contenders import rule_for
from ftkit.redaction import redacted
from ftkit.report import rollout_history
from ftkit.report.rollout_history import Rollout
from ftkit.runs import decision, preferred, status
from ftkit.runs.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answers:
    """The answers of candidate and champion to the test rows, and the labels."""

    data: Data
    """Only its test split has rows."""
    candidate: np.ndarray
    """Probabilities, (rows, classes)."""
    champion: np.ndarray | None
    seed: int
    rule: AnswerRule | None = None
    """How the candidate's bundle decides on answers, if not as every model does."""
    champion_rule: AnswerRule | None = None

    def measured(self, metric: str) -> tuple[np.ndarray, np.ndarray | None]:
        """The probabilities by which a metric measures the answers of candidate and champion."""
        own, other = self.given
        return (self.candidate, self.champion) if metric in OF_PROBABILITIES else (own, other)

    @cached_property
    def given(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities of candidate and champion whose greatest, or which from 0.5 on, are their answers."""
        classes, task = self.data.classes, self.data.task
        own = moved(self.candidate, classes, task, self.rule)
        return own, None if self.champion is None else moved(self.champion, classes, task, self.champion_rule)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices, (rows,); of multi-label rows 0 and 1, (rows, classes)."""
        return decisions.targets(self.data.test.labels, len(self.data.classes), self.data.task)


@dataclass(frozen=True)
class Facts:
    """A run as its folder records it."""

    run: str
    state: str
    """Promoted, not promoted, failed, interrupted or running."""
    name: str
    metric: str
    seed: int
    recipe: str
    """The resolved recipe as TOML text."""
    began: str = ""
    """ISO 8601, UTC; so is `ended`."""
    ended: str = ""
    failure: str = ""
    trials: Sequence[Trial] = ()
    """The trials that ended, by number."""
    started: int = 0
    """How many trials were started."""
    best: int | None = None
    """Number of the winning trial."""
    classes: tuple[str, ...] = ()
    task: Task = SINGLE_LABEL
    data: DataReport | None = None
    decision: records.PromotionRecord | None = None
    """What the gate decided, from the journal; None before it has decided."""
    verdicts: Sequence[Verdict] = ()
    answers: Answers | None = None
    missing: str = ""
    """Why there are no answers; a sentence."""
    budget: str = ""
    """What of the budget was used, if it ended the search; a sentence."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    """What was no longer as it was when the run began and went on after an interruption, a sentence each."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, over all attempts that finished it."""
    bundle: str = ""
    """The bundle's hash."""
    record: records.PromotionRecord | None = None
    record_problem: str = ""
    """What is wrong with the promotion record."""
    override: Mapping[str, str] = field(default_factory=dict)
    """Why, by whom and when the model was promoted against its tests."""
    preference: Preference | None = None
    """Why this trial was selected, where the recipe prefers cheap models."""
    version: str = ""
    endpoint: str = ""
    deployment: str = ""
    rollouts: Sequence[Rollout] = ()
    """Every attempt to put the model live, the oldest first."""

    @property
    def champion(self) -> str:
        """What to call the champion at the time of the run; empty when there was none."""
        if self.decision is None or not self.decision.champion:
            return ""
        return f"champion version {self.decision.champion['version']}"

    @property
    def metrics(self) -> Mapping[str, float]:
        """Test metrics of the candidate; empty before the tests."""
        return self.decision.metrics if self.decision is not None else {}

    @property
    def sentence(self) -> str:
        """What the gate decided, in a sentence; empty before it has decided."""
        return self.decision.sentence if self.decision is not None else ""

    @property
    def seconds(self) -> float:
        """How long the finished stages took."""
        return sum(self.stages.values())

    @property
    def winner(self) -> Trial | None:
        """The trial that was selected."""
        return next((each for each in self.trials if each.number == self.best), None)


def read(ledger: Ledger, state: str | None = None) -> Facts:
    """The facts of a run; `state` overrides the state that the run's folder shows."""
    table = ledger.recipe_values
    decided, selected = without_secrets(_decision(ledger)), ledger.fact("selected") or {}
    data, classes, task = _report(ledger)
    bundle = decided.bundle if decided is not None else str(selected.get("bundle") or "")
    record, problem = _record(ledger, bundle)
    answers, missing = _answers(ledger, decided is not None, int(table.get("seed", 0)))
    if answers is not None:  # also where the journal has lost that the rows were stored
        classes, task = answers.data.classes, answers.data.task
    deployed = ledger.fact("deployed") or {}
    override = ledger.fact("overridden") or {}
    return Facts(
        run=ledger.run,
        state=state or status.state(ledger),
        name=str(table.get("name") or (ledger.fact("started") or {}).get("name") or ledger.run),
        metric=status.metric(ledger),
        seed=int(table.get("seed", 0)),
        recipe=redacted(_recipe(ledger)),
        began=str((ledger.fact("started") or {}).get("at", "")),
        ended=str((ledger.fact("finished") or ledger.fact("failed") or {}).get("at", "")),
        failure=redacted(ledger.failure),
        trials=without_secrets(ledger.trials()),
        started=len({each.get("number") for each in ledger.facts("trial-started")}),
        best=selected.get("number"),
        classes=classes,
        task=task,
        data=without_secrets(data),
        decision=decided,
        verdicts=decided.verdicts if decided is not None else (),
        answers=answers,
        missing=missing,
        budget=_budget(ledger),
        environment={
            key: each for key, each in (ledger.fact("environment") or {}).items() if key not in ("fact", "at")
        },
        changed=tuple(
            dict.fromkeys(redacted(str(each)) for fact in ledger.facts("changed") for each in fact["sentences"])
        ),
        stages=_stages(ledger),
        bundle=bundle,
        record=record,
        record_problem=problem,
        override={key: redacted(str(override[key])) for key in ("reason", "by", "at") if key in override},
        preference=_preference(ledger),
        version=str((ledger.fact("registered") or {}).get("version") or ""),
        endpoint=str(deployed.get("endpoint") or ""),
        deployment=str(deployed.get("deployment") or ""),
        rollouts=_rollouts(ledger),
    )


def _decision(ledger: Ledger) -> records.PromotionRecord | None:
    """What the gate decided, or None where the run's folder has lost what belongs to it."""
    try:
        return decision.read(ledger)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _preference(ledger: Ledger) -> Preference | None:
    """The selection among cheap models, or None where its line of the journal is damaged."""
    try:
        return preferred.read(ledger)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _rollouts(ledger: Ledger) -> list[Rollout]:
    """The rollouts, or none where a line of the journal about them is damaged."""
    try:
        return rollout_history.read(ledger)
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _budget(ledger: Ledger) -> str:
    fact = ledger.fact("budget-spent")
    return BudgetSpent(fact["option"], fact["used"], fact["limit"]).sentence if fact else ""


def _stages(ledger: Ledger) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for entry in ledger.facts("stage"):
        if not entry.get("reused"):
            seconds[entry["stage"]] = seconds.get(entry["stage"], 0.0) + float(entry["seconds"])
    return seconds


def _recipe(ledger: Ledger) -> str:
    try:
        return ledger.recipe
    except FtkitError:
        return ""


def _report(ledger: Ledger) -> tuple[DataReport | None, tuple[str, ...], Task]:
    if ledger.fact("data") is None:
        return None, (), SINGLE_LABEL
    try:
        data = ledger.data(())
    except FtkitError:
        return None, (), SINGLE_LABEL
    return data.report, data.classes, data.task


def _record(ledger: Ledger, bundle: str) -> tuple[records.PromotionRecord | None, str]:
    """The bundle's promotion record, or None and what is wrong with it."""
    folder = ledger.folder / "bundle"
    if not bundle or not (folder / bundles.MANIFEST).is_file():
        return None, ""
    try:
        return records.read(folder, bundle), ""
    except FtkitError as error:
        return None, error.what


def _answers(ledger: Ledger, is_tested: bool, seed: int) -> tuple[Answers | None, str]:
    """The stored answers to the test rows, or None and why there are none."""
    import numpy as np

    if not is_tested:
        return None, "No promotion test has run yet, so the test split has not been opened."
    try:
        stored = ledger.predictions()
        data = ledger.data(("test",))
    except (OSError, ValueError, FtkitError) as error:
        # A page that is shared names no folders.
        reason = (
            error.what if isinstance(error, FtkitError) else error.strerror if isinstance(error, OSError) else error
        )
        return None, f"The answers to the test rows cannot be read: {reason}."
    if "candidate" not in stored:
        return None, "The answers to the test rows were not stored with this run."
    shape = (len(data.test), len(data.classes))
    if any(each.shape != shape for each in stored.values()) or not shape[0]:
        return None, "The stored answers do not fit the rows of the test split."
    if not np.isfinite(stored["candidate"]).all():
        return None, "The candidate gave probabilities that are not numbers, so nothing can be measured on them."
    champion = stored.get("champion")
    if champion is not None and not np.isfinite(champion).all():
        champion = None
    rules = (_rule(ledger.folder / name, data) for name in ("bundle", "champion"))
    return Answers(data, stored["candidate"], champion, seed, *rules), ""


def _rule(bundle: Path, data: Data) -> AnswerRule | None:
    """How a bundle decides on answers, with the classes of the data; None where it is not here any more."""
    try:
        return rule_for(strict_json.read_object(bundle / bundles.MANIFEST), data)
    except (OSError, ValueError, LookupError, TypeError):
        return None
