"""The promotion gate: candidate and champion, loaded from their bundles, scored on the same rows and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ftkit import bundle as bundles
from ftkit import metrics
from ftkit.bundle import Bundle
from ftkit.contracts import Contender, Data, Emit, PromotionTest, Verdict, Version
from ftkit.errors import FtkitError, StageError
from ftkit.events import Noticed, VerdictReached
from ftkit.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np

    from ftkit.recipe import Plan


@dataclass(frozen=True)
class Tested:
    """What the gate decided, and on what."""

    promoted: bool
    sentence: str
    verdicts: tuple[Verdict, ...]
    metrics: Mapping[str, float]
    """Test metrics of the candidate."""
    champion: Version | None
    """The version the candidate was measured against."""


def judge(plan: Plan, ledger: Ledger, bundle: Bundle, emit: Emit) -> Tested:
    """Hear every promotion test of the plan; this is the one place that opens the test split."""
    import numpy as np

    champion = plan.registry.champion() if plan.registry is not None else None
    if kept := _kept(ledger, bundle, champion):
        for verdict in kept.verdicts:
            emit(VerdictReached(verdict))
        return kept
    data = ledger.data()
    candidate = _contender("the candidate", bundle, data, plan)
    live = None
    if champion is not None and plan.registry is not None:
        fetched = bundles.verify(plan.registry.fetch(champion.version, ledger.folder / "champion"))
        live = _contender(f"champion version {champion.version}", fetched, data, plan)
        if set(fetched.classes) != set(data.classes):
            theirs, ours = ", ".join(fetched.classes), ", ".join(data.classes)
            emit(Noticed(f"The champion knows the classes {theirs}; the data has {ours}.", warning=True))
    verdicts = _verdicts(plan.promote, candidate, live, emit)
    failed = [verdict.test for verdict in verdicts if verdict.status == "failed"]
    tested = Tested(
        promoted=not failed,
        sentence=_decision(verdicts, failed),
        verdicts=verdicts,
        metrics=metrics.scores(candidate.probabilities, np.asarray(data.test.labels)),
        champion=champion,
    )
    ledger.append(
        "tested",
        bundle=bundle.hash,
        champion=champion.bundle_hash if champion else None,
        promoted=tested.promoted,
        sentence=tested.sentence,
        verdicts=[asdict(verdict) for verdict in verdicts],
        metrics=dict(tested.metrics),
    )
    return tested


def _verdicts(
    tests: Sequence[PromotionTest], candidate: Contender, champion: Contender | None, emit: Emit
) -> tuple[Verdict, ...]:
    if not tests:
        said = "No tests asked for: the recipe has no [[promote]] section, so any result is promoted."
        verdict = Verdict("none", "not applicable", said)
        emit(VerdictReached(verdict))
        return (verdict,)
    verdicts = []
    for each in tests:
        try:
            verdict = each.check(candidate, champion)
        except FtkitError:
            raise
        except Exception as error:
            raise StageError(
                f"the promotion test {each.name!r} broke off: {type(error).__name__}: {error}",
                mend="Nothing was promoted. Mend the test or take it out of the recipe, then give the same command.",
            ) from error
        emit(VerdictReached(verdict))
        verdicts.append(verdict)
    return tuple(verdicts)


def _decision(verdicts: Sequence[Verdict], failed: Sequence[str]) -> str:
    if failed:
        return f"Not promoted: {', '.join(failed)} failed."
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    if not passed:
        return "Promoted: no test applied."
    return f"Promoted: {passed} of {len(verdicts)} tests passed, none failed."


def _contender(title: str, bundle: Bundle, data: Data, plan: Plan) -> Contender:
    probabilities = aligned(bundle.probabilities(data.test.texts), bundle.classes, data.classes)
    return Contender(
        title=title,
        bundle=bundle.folder,
        classifier=bundle.classifier,
        probabilities=probabilities,
        data=data,
        metric=plan.search.metric,
        seed=plan.seed,
    )


def aligned(probabilities: np.ndarray, theirs: Sequence[str], ours: Sequence[str]) -> np.ndarray:
    """Probabilities over `theirs` as probabilities over `ours`, by class name.

    A class the model does not know gets 0; what it gave to classes we do not have is shared out in proportion.
    """
    import numpy as np

    if tuple(theirs) == tuple(ours):
        return probabilities
    columns = np.zeros((len(probabilities), len(ours)))
    for index, name in enumerate(ours):
        if name in theirs:
            columns[:, index] = probabilities[:, list(theirs).index(name)]
    totals = columns.sum(axis=1, keepdims=True)
    return np.where(totals > 0, columns / np.where(totals > 0, totals, 1), 1 / len(ours))


def _kept(ledger: Ledger, bundle: Bundle, champion: Version | None) -> Tested | None:
    """What an interrupted run had decided, if it was about this bundle and against the champion of now.

    A champion that is this very bundle was made by the interrupted run, after its decision.
    """
    fact = ledger.fact("tested")
    live = champion.bundle_hash if champion else None
    if not fact or fact["bundle"] != bundle.hash or live not in (fact["champion"], bundle.hash):
        return None
    verdicts = tuple(Verdict(**each) for each in fact["verdicts"])
    return Tested(fact["promoted"], fact["sentence"], verdicts, fact["metrics"], champion)
