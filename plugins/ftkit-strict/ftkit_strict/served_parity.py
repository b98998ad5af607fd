"""Whether the server gives the answers that the gate judged, with every engine that may serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import judged
from ftkit.contracts import NATIVE, TASKS, Contender, Task, Verdict
from ftkit.errors import BundleError, DeployError
from ftkit.evaluation import answer_rules, charts, decisions, option_checks, verdicts
from ftkit.evaluation.contenders import defect, sample_rows
from ftkit.formatting import count, percent, printable, quoted, rounded
from ftkit_strict.served_answers import InvalidAnswer, distance_from_gate, request_scores, rows_of, texts_that_fit

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from ftkit.serving.server_process import ServerProcess


@dataclass(frozen=True)
class Parity:
    """One engine's answers compared with the gate's."""

    engine: str
    tolerance: float
    agreement: float
    """The least share of equal labels, 0 where none is required."""
    fault: str = ""
    """Why there are no answers to compare; empty when there are."""
    online: np.ndarray | None = None
    """The server's probabilities, (rows, classes)."""
    apart: np.ndarray | None = None
    """The largest difference of a probability in each row, (rows,)."""
    same: float = 0.0
    """Share of rows with the gate's label."""

    @property
    def good(self) -> bool:
        """Whether the answers are as near as the limits require."""
        if self.apart is None:
            return False
        return bool((self.apart <= self.tolerance).all()) and self.same >= self.agreement - verdicts.ROUNDING


@dataclass(frozen=True, kw_only=True)
class ServedParity:
    """Passes when servers of the bundle answer test rows as the gate scored them.

    The other tests judge probabilities that were computed in this process, all rows at once. Here the bundle runs in a server
    process, started as an endpoint starts it, and gets test rows over HTTP in requests of several sizes. Its answers are compared
    with the very probabilities that the other verdicts rest on. A label may differ only where the gate's two highest
    probabilities are within the tolerance of a tie, or where a label of several is that near to its threshold.

    A bundle with further engines (`backbone.engines`) is also served with each of them. They round in other ways, so they have
    a wider tolerance and a least share of equal labels. An engine that passes here may be deployed.
    """

    name: ClassVar[str] = "served-parity"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    rows: int = 80
    """How many test rows to send; the run's seed draws them."""
    sizes: tuple[int, ...] = (1, 7, 32, 40)
    """Rows of the first request, of the second, and so on, from the beginning again until all rows are sent."""
    tolerance: float = 1e-4
    """How much a probability may differ; in single precision, other batches and rounding bring far less."""
    engines: tuple[str, ...] | None = None
    """Further engines that must pass, all of the bundle when left out; the others are measured and reported."""
    engine_tolerance: float = 0.25
    """How much a probability of a further engine may differ: 8-bit numbers can move a row near a tie far."""
    engine_tolerances: Mapping[str, float] = field(default_factory=lambda: {"onnx": 1e-3})
    """Another tolerance for single engines, by name."""
    engine_agreement: float = 0.98
    """The least share of rows to which a further engine must give the gate's label."""

    def __post_init__(self) -> None:
        option_checks.at_least("rows", self.rows, 1)
        if not self.sizes:
            raise ValueError("sizes is empty: name at least one size of a request")
        for size in self.sizes:
            if not 1 <= size <= 1024:
                raise ValueError("sizes must be from 1 to 1024 rows")
        option_checks.in_range("tolerance", self.tolerance, 0, 1)
        option_checks.in_range("engine_tolerance", self.engine_tolerance, 0, 1)
        for engine, tolerance in self.engine_tolerances.items():
            option_checks.in_range(f"engine_tolerances.{engine}", tolerance, 0, 1)
        option_checks.in_range("engine_agreement", self.engine_agreement, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Send test rows to the candidate's servers, one for each engine."""
        import numpy as np

        if reason := defect(candidate):
            return Verdict(self.name, "failed", f"answers cannot be compared: {reason}")
        try:
            opened = bundles.verify(candidate.bundle)
        except BundleError as error:
            return Verdict(self.name, "failed", f"the bundle cannot be served: {error.what}")
        required = opened.engines if self.engines is None else self.engines
        if missing := [engine for engine in required if engine not in opened.engines]:
            return Verdict(self.name, "failed", f"the bundle has no engine {printable(missing[0])!r}")
        rows = sample_rows(candidate, self.rows)
        offline = np.asarray(candidate.probabilities, dtype=np.float64)[rows]  # (rows, classes)
        native = self._compare(NATIVE, opened, candidate, rows, offline)
        others = [self._compare(engine, opened, candidate, rows, offline) for engine in opened.engines]
        good = native.good and all(each.good for each in others if each.engine in required)
        sentences = [_described(each, rows, offline, candidate) for each in (native, *others)]
        numbers: dict[str, float] = {"rows": len(rows), "tolerance": self.tolerance}
        if native.apart is not None:
            numbers |= {"max_difference": native.apart.max(), "mean_difference": native.apart.mean()}
            numbers["flipped"] = round((1 - native.same) * len(rows))
        for each in others:
            numbers[judged(each.engine)] = float(each.good)
            if each.apart is not None:
                numbers |= {f"{each.engine}: max_difference": each.apart.max(), f"{each.engine}: agreement": each.same}
        compared = [each for each in (native, *others) if each.apart is not None]
        chart = _chart(compared, offline, candidate.data.task) if compared and (others or not good) else None
        return Verdict(self.name, verdicts.status(good), "; ".join(sentences), verdicts.finite_numbers(numbers), chart)

    def _compare(
        self, engine: str, opened: Bundle, candidate: Contender, rows: Sequence[int], offline: np.ndarray
    ) -> Parity:
        """Serve the bundle with one engine and compare its answers with the gate's, `offline`."""
        from ftkit.serving.server_process import shared_server

        further = engine != NATIVE
        tolerance = self.engine_tolerances.get(engine, self.engine_tolerance) if further else self.tolerance
        agreement = self.engine_agreement if further else 0.0
        texts = [candidate.data.test.texts[row] for row in rows]
        try:
            with shared_server(candidate, engine) as servers:
                online = self._served(servers.get(), engine, opened, texts, candidate)
        except DeployError as error:
            return Parity(engine, tolerance, agreement, f"the server cannot be compared: {error.what}")
        except InvalidAnswer as error:
            return Parity(engine, tolerance, agreement, f"the server gives an invalid answer: {error}")
        apart = abs(online - offline).max(axis=1)
        data, rule = candidate.data, candidate.rule
        answers, expected = (
            answer_rules.decide(each, data.classes, data.task, rule).answers for each in (online, offline)
        )
        same = float((answers == expected).all(axis=1).mean())
        return Parity(engine, tolerance, agreement, "", online, apart, same)

    def _served(
        self, server: ServerProcess, engine: str, opened: Bundle, texts: Sequence[str], candidate: Contender
    ) -> np.ndarray:
        """The server's probabilities, (texts, classes). Raises: InvalidAnswer; DeployError."""
        import numpy as np

        data, rule = candidate.data, candidate.rule
        if (other := server.describe().get("engine", NATIVE)) != engine:
            raise InvalidAnswer(f"it uses the engine {printable(str(other))!r} instead of {engine!r}")
        parts: list[np.ndarray] = []
        sent = number = 0
        while sent < len(texts):
            size = min(self.sizes[number % len(self.sizes)], texts_that_fit(texts[sent:], server.limits, data.fields))
            part = texts[sent : sent + max(1, size)]
            answer, probabilities = request_scores(server, part, data.classes, data.task, rule, data.fields)
            if answer.bundle != opened.hash:
                other = f"bundle {answer.bundle[:12]}" if answer.bundle else "a bundle that it does not name"
                raise InvalidAnswer(f"it comes from {printable(other)}, the gate judged {opened.hash[:12]}")
            parts.append(probabilities)
            sent, number = sent + len(part), number + 1
        unscored = server.invoke({"data": rows_of(texts[: len(parts[0])], data.fields)})
        labels = answer_rules.decide(parts[0], data.classes, data.task, rule).labels
        if unscored.value != labels:
            raise InvalidAnswer(
                f"without scores it is {quoted(str(unscored.value))}, with scores {quoted(str(labels))}"
            )
        return np.concatenate(parts)


def _described(parity: Parity, rows: Sequence[int], offline: np.ndarray, candidate: Contender) -> str:
    """One engine's answers in a sentence, with the row that differs most where they are not good enough."""
    engine = f"with the engine {parity.engine}, " if parity.engine != NATIVE else ""
    if parity.apart is None or parity.online is None:
        return engine + parity.fault
    sentence = (
        f"{engine}{count(len(rows), 'test row')} sent to the server come back with probabilities "
        f"{distance_from_gate(float(parity.apart.max()))} (allowed: {rounded(parity.tolerance)}), "
        f"{percent(parity.same)} with its labels"
    )
    sentence += f" (at least {percent(parity.agreement)})" if parity.agreement else ""
    if parity.good:
        return sentence
    place = int(parity.apart.argmax())
    online = parity.online[place]
    column = int(abs(online - offline[place]).argmax())
    return sentence + (
        f"; row {rows[place] + 1} {quoted(candidate.data.test.texts[rows[place]])} gets {rounded(float(online[column]))} "
        f"for {printable(candidate.data.classes[column])!r} where the gate saw {rounded(float(offline[place, column]))}"
    )


def _chart(parities: Sequence[Parity], offline: np.ndarray, task: Task) -> str:
    """The probability of the gate's answer, or of its least sure label, as the gate saw it and as it is served."""
    import numpy as np

    several = task == "multi-label"
    answers = decisions.decided(offline).argmin(axis=1) if several else offline.argmax(axis=1)
    places = np.arange(len(answers))

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=charts.INK, linewidth=1, linestyle="--")
        for each, mark in zip(parities, "o^sDv" * len(parities), strict=False):
            if each.online is None or each.apart is None:
                continue
            far = each.apart > each.tolerance
            for beyond, colour in ((False, charts.CALM), (True, charts.BAD)):
                where = places[far == beyond]
                label = f"{each.engine}{', too far' if beyond else ''}"
                axes.plot(
                    offline[where, answers[where]],
                    each.online[where, answers[where]],
                    "X" if beyond else mark,
                    color=colour,
                    alpha=0.6,
                    label=label if len(where) else None,
                )
        axes.set_xlabel(f"probability of the {'least sure label' if several else 'answer'}, as the gate saw it")
        axes.set_ylabel("as it is served")
        axes.legend()

    return charts.svg("Answers of the gate and of the server", draw, (4.8, 4.4))
