"""The promotion gate: candidate and champion, loaded from their bundles, scored on the same rows and judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, get_args

from ftkit import options, pairs, plugins
from ftkit._version import __version__
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts import Contender, Data, Emit, PromotionTest, Registry, Status, Verdict, Version
from ftkit.contracts.events import Noticed, VerdictReached
from ftkit.contracts.tasks import METRICS_OF
from ftkit.data.class_names import shown_name
from ftkit.disclosure import without_secrets
from ftkit.errors import FtkitError, VerbError, in_one_line
from ftkit.evaluation import decisions, metrics
from ftkit.evaluation.contenders import (
    align_classes,
    class_sources,
    classes_without_rows,
    metric_probabilities,
    rule_for,
    task_mismatch,
)
from ftkit.evaluation.prediction_profile import profile
from ftkit.evaluation.promised_risk import SelectiveRisk
from ftkit.formatting import capital, listing
from ftkit.plugins import origins
from ftkit.plugins.calls import call, traceback_of
from ftkit.plugins.titles import title
from ftkit.redaction import redacted
from ftkit.runs import decision
from ftkit.runs.ledger import Ledger
from ftkit.serving.server_process import SharedServer

if TYPE_CHECKING:
    from ftkit.recipe.loader import Plan


def judge(plan: Plan, ledger: Ledger, bundle: Bundle, emit: Emit) -> PromotionRecord:
    """Run every promotion test of the plan on the bundle; nothing else opens the test split.

    Writes the decision into the journal and returns its record. Raises: FtkitError.
    """
    champion = call(Registry.champion, plan.registry) if plan.registry is not None else None
    tests = without_secrets([{"use": each.name, **options.to_table(each)} for each in plan.promote])  # for the record
    if earlier := _earlier_decision(ledger, bundle, champion, tests):
        for verdict in earlier.verdicts:
            emit(VerdictReached(verdict))
        return earlier
    data = ledger.data()
    candidate = _contender("the candidate", bundle, data, plan)
    live = None
    if champion is not None and plan.registry is not None:
        champion_bundle = bundles.verify(
            call(Registry.fetch, plan.registry, champion.version, ledger.folder / "champion")
        )
        live = _contender(f"champion version {champion.version}", champion_bundle, data, plan)
        if len(champion_bundle.fields) != len(data.fields):
            reads, rows = (" and ".join(names) for names in (champion_bundle.fields, data.fields))
            notice = f"{capital(live.title)} reads {reads}, and the rows have {rows}: callers must send other requests."
            emit(Noticed(notice, warning=True))
    for notice in _class_notices(data, live):
        emit(Noticed(notice, warning=True))
    # The report compares all rows, and those of a class that the champion does not know would count against it.
    shown = live if live and _knows_all(live, data) else None
    ledger.store_predictions(
        {"candidate": candidate.probabilities, **({"champion": shown.probabilities} if shown else {})}
    )
    with SharedServer(bundle.folder) as shared:
        verdicts = _verdicts(_tests(plan, bundle), replace(candidate, serving=shared), live, ledger, emit)
    labels = decisions.targets(data.test.labels, len(data.classes), data.task)
    record = PromotionRecord(
        bundle=bundle.hash,
        run=ledger.run,
        name=plan.name,
        recipe=records.sha256(plan.text),
        tests=tests,
        data=data.report.fingerprint,
        rows=len(labels),
        verdicts=without_secrets(verdicts),
        metrics={
            name: metrics.score(name, metric_probabilities(name, candidate), labels) for name in METRICS_OF[data.task]
        },
        champion=_as_recorded(champion),
        promoted=all(verdict.status in ("passed", "not applicable") for verdict in verdicts),
        sentence=_sentence(verdicts),
        by=records.whoever(),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        ftkit=__version__,
        profile=profile(candidate.probabilities, data.classes, data.task, bundle.rule) if len(labels) else None,
        plugins=origins.hashes(plugins.load()),
    )
    decision.write(ledger, record)
    return decision.read(ledger) or record


def _tests(plan: Plan, bundle: Bundle) -> Sequence[PromotionTest]:
    """The recipe's tests; a model that leaves texts unanswered is always tested for what it promises."""
    asked = any(each.name == SelectiveRisk.name for each in plan.promote)
    abstains = bundle.rule is not None and bundle.rule.abstains
    return (*plan.promote, SelectiveRisk()) if abstains and not asked else plan.promote


def _verdicts(
    tests: Sequence[PromotionTest], candidate: Contender, champion: Contender | None, ledger: Ledger, emit: Emit
) -> tuple[Verdict, ...]:
    if not tests:
        sentence = "No tests asked for: the recipe has no [[promote]] section, so any result is promoted."
        verdict = Verdict("none", "not applicable", sentence)
        emit(VerdictReached(verdict))
        return (verdict,)
    verdicts = []
    for test in tests:
        verdict = _run_test(test, candidate, champion, ledger)
        emit(VerdictReached(verdict))
        verdicts.append(verdict)
    return tuple(verdicts)


def _run_test(test: PromotionTest, candidate: Contender, champion: Contender | None, ledger: Ledger) -> Verdict:
    """The verdict of one test; one that breaks off gives the verdict `error`, and the others are still run."""
    try:
        return _checked(call(PromotionTest.check, test, candidate, champion))
    except VerbError as error:
        return Verdict(test.name, "error", f"it broke off: {error.what}{_logged(test, error, ledger)}")
    except FtkitError as error:
        hint = f" {error.hint}" if error.hint else ""
        where = f"{error.where}: " if error.where else ""
        return Verdict(test.name, "error", f"it could not judge: {where}{error.what}.{hint}")
    except Exception as error:  # of a verdict that cannot be stored
        what = f"check of {title('promotion_tests', test)}: {in_one_line(error)}"
        return Verdict(test.name, "error", f"it broke off: {what}{_logged(test, error, ledger)}")


def _logged(test: PromotionTest, error: BaseException, ledger: Ledger) -> str:
    """Write the traceback of a test that broke off into the run's folder; returns the end of a sentence that says where it is."""
    log = ledger.folder / "tests.log"
    try:
        with log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{test.name}\n{traceback_of(error)}\n\n")
    except OSError:
        return ""
    return f"; the details are in {log}"


def _knows_all(champion: Contender, data: Data) -> bool:
    """Whether the champion can be compared on all rows and classes."""
    known = class_sources(champion.classifier.classes, data.classes)
    return len(known) == len(data.classes) and not task_mismatch(champion)


def _class_notices(data: Data, champion: Contender | None) -> Iterator[str]:
    """What a reader must know of classes before the verdicts: which are not tested, and how the champion's differ."""
    if len(data.test) and (untested := classes_without_rows(data)):
        yield f"The test split has no row of {_names(untested)}: how the model answers such texts is not tested."
    if champion is None:
        return
    if other := task_mismatch(champion):
        yield f"{capital(other)}: they cannot be compared, and callers may rely on the form of the answers."
    sources = class_sources(champion.classifier.classes, data.classes)
    if lost := [name for name in champion.classifier.classes if name not in sources.values()]:
        yield f"The candidate does not know {_names(lost)} of {champion.title}; callers may rely on it."
    if new := [name for name in data.classes if name not in sources]:
        yield (
            f"{capital(champion.title)} does not know {_names(new)}: the two are compared on the other test rows, "
            "and the report shows no comparison."
        )
    if renamed := [f"{shown_name(old)} is now {shown_name(name)}" for name, old in sources.items() if name != old]:
        yield f"Classes are spelled in another way than by {champion.title}: {listing(renamed, 5)}. Callers get the new names."


def _names(names: Sequence[str]) -> str:
    return listing(map(shown_name, names), 10)


def _checked(verdict: Any) -> Verdict:
    """A verdict that journal and record can store. Raises: TypeError, ValueError for anything else."""
    if (
        not isinstance(verdict, Verdict)
        or not isinstance(verdict.status, str)
        or verdict.status not in get_args(Status)
    ):
        raise TypeError(f"it gave no verdict but {redacted(repr(verdict)):.200}")  # redacted before it is cut
    if not isinstance(verdict.sentence, str) or not verdict.sentence.strip():
        raise TypeError(f"its verdict has no sentence but {redacted(repr(verdict.sentence)):.60}")
    if not isinstance(verdict.test, str) or not isinstance(verdict.figure, str | None):
        raise TypeError("the test and the figure of its verdict must be texts")
    if not isinstance(verdict.numbers, Mapping):
        raise TypeError(f"the numbers of its verdict are {redacted(repr(verdict.numbers)):.60}, not numbers by name")
    return replace(
        verdict,
        sentence=" ".join(verdict.sentence.split()),
        numbers={str(name): _number(str(name), value) for name, value in verdict.numbers.items()},
    )


def _number(name: str, value: Any) -> float:
    import numpy as np

    if not isinstance(value, Real | np.bool_):
        raise TypeError(f"the number {name} of its verdict is {redacted(repr(value)):.60}")
    if not math.isfinite(value):
        raise ValueError(f"the number {name} of its verdict is {float(value)}; one that is not defined is left out")
    return float(value)


def _sentence(verdicts: Sequence[Verdict]) -> str:
    failed = [verdict.test for verdict in verdicts if verdict.status == "failed"]
    broken = [verdict.test for verdict in verdicts if verdict.status == "error"]
    if failed or broken:
        reasons = [f"{', '.join(failed)} failed"] * bool(failed)
        reasons += [f"{', '.join(broken)} gave no verdict"] * bool(broken)
        return f"Not promoted: {'; '.join(reasons)}."
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    return f"Promoted: {passed} of {len(verdicts)} tests passed, none failed."


def _contender(title: str, bundle: Bundle, data: Data, plan: Plan) -> Contender:
    texts = data.test.texts
    if len(data.fields) > 1 and len(bundle.fields) == 1:  # an earlier model read both as one, joined by lines
        texts = ["\n".join(pairs.sides(text)) for text in texts]
    probabilities = align_classes(bundle.probabilities(texts), bundle.classes, data.classes, data.task)
    return Contender(
        title=title,
        bundle=bundle.folder,
        classifier=bundle.classifier,
        probabilities=probabilities,
        data=data,
        metric=plan.search.metric,
        seed=plan.seed,
        rule=rule_for(bundle.manifest, data),
    )


def _earlier_decision(
    ledger: Ledger, bundle: Bundle, champion: Version | None, tests: Sequence[Mapping[str, Any]]
) -> PromotionRecord | None:
    """The decision of an interrupted run, if it was made by these tests, about this bundle, against the present champion.

    If the champion is this very bundle, the interrupted run promoted it after its decision. A decision with tests that broke off is
    not taken: they are run again, since what they lacked may be available now.
    """
    record = decision.read(ledger)
    if record is None or record.bundle != bundle.hash or record.undecided or record.tests != options.toml_value(tests):
        return None
    if champion is None:
        return record if record.champion is None else None
    judged_against = record.champion["bundle"] if record.champion else None
    return record if champion.bundle_hash in (judged_against, bundle.hash) else None


def _as_recorded(version: Version | None) -> dict[str, str] | None:
    """A version as the promotion record describes it."""
    return {"model": version.model, "version": version.version, "bundle": version.bundle_hash} if version else None
