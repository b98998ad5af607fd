"""The promotion gate: candidate and champion, loaded from their bundles, scored on the same rows and judged."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from ftkit import options
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Contender, Data, Emit, PromotionTest, Status, Verdict, Version
from ftkit.contracts.events import Noticed, VerdictReached
from ftkit.errors import FtkitError
from ftkit.evaluation import metrics
from ftkit.evaluation.contenders import align_classes
from ftkit.runs.ledger import Ledger
from ftkit.serving.server_process import Serving

if TYPE_CHECKING:
    from ftkit.recipe.loader import Plan


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
    by: str = ""
    """Who ran the gate."""
    at: str = ""
    """When it decided: ISO 8601, UTC."""

    @property
    def errors(self) -> tuple[str, ...]:
        """Names of the tests that broke off, and so decided nothing."""
        return tuple(verdict.test for verdict in self.verdicts if verdict.status == "error")


def judge(plan: Plan, ledger: Ledger, bundle: Bundle, emit: Emit) -> Tested:
    """Hear every promotion test of the plan; this is the one place that opens the test split."""
    import numpy as np

    champion = plan.registry.champion() if plan.registry is not None else None
    tests = [{"use": each.name, **options.to_table(each)} for each in plan.promote]
    if kept := _kept(ledger, bundle, champion, tests):
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
    ledger.store_predictions(
        {"candidate": candidate.probabilities, **({"champion": live.probabilities} if live else {})}
    )
    with Serving(bundle.folder) as shared:
        verdicts = _verdicts(plan.promote, replace(candidate, serving=shared), live, ledger, emit)
    ledger.append(
        "tested",
        bundle=bundle.hash,
        champion=champion.bundle_hash if champion else None,
        champion_version=champion.version if champion else None,
        tests=tests,
        promoted=all(verdict.status in ("passed", "not applicable") for verdict in verdicts),
        sentence=_decision(verdicts),
        verdicts=[asdict(verdict) for verdict in verdicts],
        metrics=metrics.scores(candidate.probabilities, np.asarray(data.test.labels)),
        by=records.whoever(),
    )
    return told(ledger, champion)


def _verdicts(
    tests: Sequence[PromotionTest], candidate: Contender, champion: Contender | None, ledger: Ledger, emit: Emit
) -> tuple[Verdict, ...]:
    if not tests:
        said = "No tests asked for: the recipe has no [[promote]] section, so any result is promoted."
        verdict = Verdict("none", "not applicable", said)
        emit(VerdictReached(verdict))
        return (verdict,)
    verdicts = []
    for each in tests:
        verdict = _heard(each, candidate, champion, ledger)
        emit(VerdictReached(verdict))
        verdicts.append(verdict)
    return tuple(verdicts)


def _heard(test: PromotionTest, candidate: Contender, champion: Contender | None, ledger: Ledger) -> Verdict:
    """What a test says; one that breaks off is an error, which is no reason to let the others go unheard."""
    try:
        return _sound(test.check(candidate, champion))
    except FtkitError as error:
        hint = f" {error.hint}" if error.hint else ""
        where = f"{error.where}: " if error.where else ""
        return Verdict(test.name, "error", f"it could not judge: {where}{error.what}.{hint}")
    except (Exception, SystemExit) as error:
        log = ledger.folder / "tests.log"
        try:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{test.name}\n{''.join(traceback.format_exception(error))}\n")
            details = f"; the details are in {log}"
        except OSError:
            details = ""
        return Verdict(test.name, "error", f"it broke off: {type(error).__name__}: {error}{details}")


def _sound(verdict: Any) -> Verdict:
    """A verdict as journal and record can keep it. Raises: TypeError, ValueError for what is none."""
    if not isinstance(verdict, Verdict) or verdict.status not in get_args(Status):
        raise TypeError(f"it gave no verdict but {verdict!r:.200}")
    numbers = {str(name): float(value) for name, value in verdict.numbers.items()}
    figure = None if verdict.figure is None else str(verdict.figure)
    return replace(verdict, sentence=str(verdict.sentence), numbers=numbers, figure=figure)


def _decision(verdicts: Sequence[Verdict]) -> str:
    failed = [verdict.test for verdict in verdicts if verdict.status == "failed"]
    broken = [verdict.test for verdict in verdicts if verdict.status == "error"]
    if failed or broken:
        said = [f"{', '.join(failed)} failed"] * bool(failed) + [f"{', '.join(broken)} gave no verdict"] * bool(broken)
        return f"Not promoted: {'; '.join(said)}."
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    return f"Promoted: {passed} of {len(verdicts)} tests passed, none failed."


def _contender(title: str, bundle: Bundle, data: Data, plan: Plan) -> Contender:
    probabilities = align_classes(bundle.probabilities(data.test.texts), bundle.classes, data.classes)
    return Contender(
        title=title,
        bundle=bundle.folder,
        classifier=bundle.classifier,
        probabilities=probabilities,
        data=data,
        metric=plan.search.metric,
        seed=plan.seed,
    )


def _kept(
    ledger: Ledger, bundle: Bundle, champion: Version | None, tests: Sequence[Mapping[str, Any]]
) -> Tested | None:
    """What an interrupted run had decided, if by these tests, about this bundle and against the champion of now.

    A champion that is this very bundle was made by the interrupted run, after its decision. A test that broke off is heard
    again: what it needs may be there now.
    """
    fact = ledger.fact("tested")
    live = champion.bundle_hash if champion else None
    if not fact or fact["bundle"] != bundle.hash or live not in (fact["champion"], bundle.hash):
        return None
    if options.toml_value(tests) != fact["tests"] or any(each["status"] == "error" for each in fact["verdicts"]):
        return None
    return told(ledger, champion)


def told(ledger: Ledger, champion: Version | None) -> Tested:
    """The gate's last decision, as the journal has it."""
    fact = ledger.fact("tested")
    assert fact is not None
    verdicts = tuple(Verdict(**each) for each in fact["verdicts"])
    return Tested(fact["promoted"], fact["sentence"], verdicts, fact["metrics"], champion, fact["by"], fact["at"])
