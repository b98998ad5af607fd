"""What a run's folder tells about it, gathered for a reader: of finished, failed and interrupted runs alike.

Nothing here needs a plugin of the run, loads its model or opens its test split before the promotion tests did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts import Data, DataReport, Trial, Verdict
from ftkit.disclosure import without_secrets
from ftkit.errors import FtkitError
from ftkit.redaction import redacted
from ftkit.runs import status
from ftkit.runs.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answers:
    """What candidate and champion said of the test rows, and what is true."""

    data: Data
    """With the test split alone."""
    candidate: np.ndarray
    """Probabilities, (rows, classes)."""
    champion: np.ndarray | None
    seed: int

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices, (rows,)."""
        import numpy as np

        return np.asarray(self.data.test.labels, dtype=np.int64)


@dataclass(frozen=True)
class Facts:
    """A run as its folder tells it."""

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
    """Those that came to their end, by number."""
    started: int = 0
    """Trials that were begun."""
    best: int | None = None
    """Number of the winning trial."""
    classes: tuple[str, ...] = ()
    data: DataReport | None = None
    tested: Mapping[str, Any] = field(default_factory=dict)
    """The gate's decision as the journal has it."""
    verdicts: Sequence[Verdict] = ()
    answers: Answers | None = None
    missing: str = ""
    """Why there are no answers, in a sentence."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, over all attempts that finished it."""
    bundle: str = ""
    """The bundle's hash."""
    record: records.PromotionRecord | None = None
    record_trouble: str = ""
    """What is wrong with the promotion record."""
    override: Mapping[str, str] = field(default_factory=dict)
    """Reason, by whom and when a person let the model through against its tests."""
    version: str = ""
    endpoint: str = ""
    deployment: str = ""

    @property
    def champion(self) -> str:
        """What to call the champion of then; empty when there was none."""
        if not self.tested.get("champion"):
            return ""
        version = self.tested.get("champion_version")
        return f"champion version {version}" if version else "the champion"

    @property
    def seconds(self) -> float:
        """How long the finished stages took."""
        return sum(self.stages.values())

    @property
    def winner(self) -> Trial | None:
        """The trial that was selected."""
        return next((each for each in self.trials if each.number == self.best), None)


def gather(ledger: Ledger, state: str | None = None) -> Facts:
    """Everything there is to tell about a run; `state` is how it stands, for who knows better than its folder."""
    table = status.recipe(ledger)
    tested, selected = without_secrets(ledger.fact("tested") or {}), ledger.fact("selected") or {}
    data, classes = _report(ledger)
    bundle = str(tested.get("bundle") or selected.get("bundle") or "")
    record, trouble = _record(ledger, bundle)
    answers, missing = _answers(ledger, tested, int(table.get("seed", 0)))
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
        data=without_secrets(data),
        tested=tested,
        verdicts=[_verdict(each) for each in tested.get("verdicts", [])],
        answers=answers,
        missing=missing,
        environment={
            key: each for key, each in (ledger.fact("environment") or {}).items() if key not in ("fact", "at")
        },
        stages=_stages(ledger),
        bundle=bundle,
        record=record,
        record_trouble=trouble,
        override={key: redacted(str(override[key])) for key in ("reason", "by", "at") if key in override},
        version=str((ledger.fact("registered") or {}).get("version") or ""),
        endpoint=str(deployed.get("endpoint") or ""),
        deployment=str(deployed.get("deployment") or ""),
    )


def _verdict(table: Mapping[str, Any]) -> Verdict:
    return Verdict(**{each.name: table[each.name] for each in fields(Verdict) if each.name in table})


def _stages(ledger: Ledger) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in ledger.facts("stage"):
        if not each.get("reused"):
            found[each["stage"]] = found.get(each["stage"], 0.0) + float(each["seconds"])
    return found


def _recipe(ledger: Ledger) -> str:
    try:
        return (ledger.folder / "recipe.toml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _report(ledger: Ledger) -> tuple[DataReport | None, tuple[str, ...]]:
    if ledger.fact("data") is None:
        return None, ()
    try:
        table = json.loads((ledger.folder / "data" / "report.json").read_text(encoding="utf-8"))
        classes = tuple(table.pop("classes"))
        return DataReport(**table), classes
    except (OSError, ValueError, TypeError, KeyError):
        return None, ()


def _record(ledger: Ledger, bundle: str) -> tuple[records.PromotionRecord | None, str]:
    """The promotion record beside the bundle, and what is wrong with it."""
    folder = ledger.folder / "bundle"
    if not bundle or not (folder / bundles.MANIFEST).is_file():
        return None, ""
    try:
        return records.read(folder, bundle), ""
    except FtkitError as error:
        return None, error.what


def _answers(ledger: Ledger, tested: Mapping[str, Any], seed: int) -> tuple[Answers | None, str]:
    """The kept answers to the test rows, or why there are none."""
    import numpy as np

    if not tested:
        return None, "The test split has not been opened: no promotion test has judged yet."
    try:
        kept = ledger.predictions()
        data = ledger.data(("test",))
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else error  # a page that is shared names no folders
        return None, f"The answers to the test rows cannot be read: {said}."
    if "candidate" not in kept:
        return None, "This run has not kept its answers to the test rows."
    shape = (len(data.test), len(data.classes))
    if any(each.shape != shape for each in kept.values()) or not shape[0]:
        return None, "The kept answers do not fit the rows of the test split."
    if not np.isfinite(kept["candidate"]).all():
        return None, "The candidate gave probabilities that are no numbers, so nothing can be measured on them."
    champion = kept.get("champion")
    if champion is not None and not np.isfinite(champion).all():
        champion = None
    return Answers(data, kept["candidate"], champion, seed), ""
