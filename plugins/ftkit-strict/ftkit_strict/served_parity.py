"""Whether the server gives the answers that the gate has judged, by every engine that may serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import judged
from ftkit.contracts import NATIVE, Contender, Verdict
from ftkit.errors import BundleError, DeployError
from ftkit.evaluation import charts
from ftkit.formatting import count, percent, printable, quoted, rounded
from ftkit_strict import scoring
from ftkit_strict.asking import sample
from ftkit_strict.served_answers import Unsound, asked, distance, fitting

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from ftkit.serving.server_process import ServerProcess


@dataclass(frozen=True)
class Parity:
    """One engine's answers beside the gate's."""

    engine: str
    tolerance: float
    agreement: float
    """The least share of equal labels, 0 where none is asked for."""
    fault: str = ""
    """Why there is nothing to compare."""
    online: np.ndarray | None = None
    """(rows, classes)"""
    apart: np.ndarray | None = None
    """The largest difference of a probability, (rows,)."""
    same: float = 0.0
    """Share of rows with the gate's label."""

    @property
    def good(self) -> bool:
        """Whether the answers are near enough."""
        if self.apart is None:
            return False
        return bool((self.apart <= self.tolerance).all()) and self.same >= self.agreement - 1e-12


@dataclass(frozen=True, kw_only=True)
class ServedParity:
    """Passes when servers of the very bundle answer test rows as the gate scored them.

    The other tests judge probabilities that were computed in this process, all rows at once. Here the bundle runs in a server
    process, started as an endpoint starts it, and is asked over HTTP in requests of several sizes. Nothing is computed
    anew to compare with: the numbers are those that the verdicts rest on. An answer may have another label only
    where the gate's two best are within the tolerance of a tie.

    A bundle with further engines (`backbone.engines`) is also served by each of them. They round otherwise, so a wider
    tolerance holds for them, and a least share of equal labels. An engine that is found good here may be deployed.
    """

    name: ClassVar[str] = "served-parity"
    rows: int = 80
    """How many test rows to send; the run's seed draws them."""
    sizes: tuple[int, ...] = (1, 7, 32, 40)
    """Rows of one request and the next, over and over, until all rows are sent."""
    tolerance: float = 1e-4
    """How much a probability may differ: what other batches and other rounding bring is far below, in single precision."""
    engines: tuple[str, ...] | None = None
    """Further engines that must pass; all that the bundle has when left out, the others are measured and told."""
    engine_tolerance: float = 0.25
    """How much a probability of a further engine may differ: numbers of 8 bits move a row near a tie quite a bit."""
    engine_tolerances: Mapping[str, float] = field(default_factory=lambda: {"onnx": 1e-3})
    """Another tolerance for single engines, by their names."""
    engine_agreement: float = 0.98
    """The least share of rows to which a further engine must give the gate's label."""

    def __post_init__(self) -> None:
        scoring.at_least("rows", self.rows, 1)
        if not self.sizes:
            raise ValueError("sizes is empty: name at least one size of a request")
        for size in self.sizes:
            if not 1 <= size <= 1024:
                raise ValueError("sizes must be from 1 to 1024 rows")
        scoring.in_range("tolerance", self.tolerance, 0, 1)
        scoring.in_range("engine_tolerance", self.engine_tolerance, 0, 1)
        for engine, tolerance in self.engine_tolerances.items():
            scoring.in_range(f"engine_tolerances.{engine}", tolerance, 0, 1)
        scoring.in_range("engine_agreement", self.engine_agreement, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Ask the candidate's servers about test rows."""
        import numpy as np

        if reason := scoring.trouble(candidate):
            return Verdict(self.name, "failed", f"answers cannot be compared: {reason}")
        try:
            opened = bundles.verify(candidate.bundle)
        except BundleError as error:
            return Verdict(self.name, "failed", f"the bundle cannot be served: {error.what}")
        asked_for = opened.engines if self.engines is None else self.engines
        if missing := [engine for engine in asked_for if engine not in opened.engines]:
            return Verdict(self.name, "failed", f"the bundle has no engine {printable(missing[0])!r} to be served by")
        rows = sample(candidate, self.rows)
        offline = np.asarray(candidate.probabilities, dtype=np.float64)[rows]  # (rows, classes)
        native = self._compared(NATIVE, opened, candidate, rows, offline)
        others = [self._compared(engine, opened, candidate, rows, offline) for engine in opened.engines]
        good = native.good and all(each.good for each in others if each.engine in asked_for)
        said = [self._said(each, rows, offline, candidate) for each in (native, *others)]
        numbers: dict[str, float] = {"rows": len(rows), "tolerance": self.tolerance}
        if native.apart is not None:
            numbers |= {"max_difference": native.apart.max(), "mean_difference": native.apart.mean()}
            numbers["flipped"] = round((1 - native.same) * len(rows))
        for each in others:
            numbers[judged(each.engine)] = float(each.good)
            if each.apart is not None:
                numbers |= {f"{each.engine}: max_difference": each.apart.max(), f"{each.engine}: agreement": each.same}
        shown = [each for each in (native, *others) if each.apart is not None]
        drawing = self._figure(shown, offline) if shown and (others or not good) else None
        return Verdict(self.name, scoring.status(good), "; ".join(said), scoring.finite(numbers), drawing)

    def _compared(
        self, engine: str, opened: Bundle, candidate: Contender, rows: Sequence[int], offline: np.ndarray
    ) -> Parity:
        """One engine, served and asked."""
        from ftkit.serving.server_process import shared_server

        further = engine != NATIVE
        tolerance = self.engine_tolerances.get(engine, self.engine_tolerance) if further else self.tolerance
        agreement = self.engine_agreement if further else 0.0
        texts = [candidate.data.test.texts[row] for row in rows]
        try:
            with shared_server(candidate, engine) as servers:
                online = self._served(servers.get(), engine, opened, texts, candidate.data.classes)
        except DeployError as error:
            return Parity(engine, tolerance, agreement, f"the served model cannot be compared: {error.what}")
        except Unsound as unsound:
            return Parity(engine, tolerance, agreement, f"the server does not answer as it should: {unsound}")
        apart = abs(online - offline).max(axis=1)
        same = float((online.argmax(axis=1) == offline.argmax(axis=1)).mean())
        return Parity(engine, tolerance, agreement, "", online, apart, same)

    def _served(
        self, server: ServerProcess, engine: str, opened: Bundle, texts: Sequence[str], classes: Sequence[str]
    ) -> np.ndarray:
        """The server's probabilities, (texts, classes). Raises: Unsound; DeployError."""
        import numpy as np

        if (other := server.describe().get("engine", NATIVE)) != engine:
            raise Unsound(f"it answers by the engine {printable(str(other))!r} instead of {engine!r}")
        parts: list[np.ndarray] = []
        sent = number = 0
        while sent < len(texts):
            size = min(self.sizes[number % len(self.sizes)], fitting(texts[sent:], server.limits))
            part = texts[sent : sent + max(1, size)]
            answer, found = asked(server, part, classes)
            if answer.bundle != opened.hash:
                other = f"bundle {answer.bundle[:12]}" if answer.bundle else "a bundle that it does not name"
                raise Unsound(f"it answers from {printable(other)}, the gate has judged {opened.hash[:12]}")
            parts.append(found)
            sent, number = sent + len(part), number + 1
        labels = server.invoke({"data": [{"text": text} for text in texts[: len(parts[0])]]})
        scored = [classes[row.argmax()] for row in parts[0]]
        if labels.value != scored:
            raise Unsound(f"without scores it says {quoted(str(labels.value))}, with them {quoted(str(scored))}")
        return np.concatenate(parts)

    def _said(self, found: Parity, rows: Sequence[int], offline: np.ndarray, candidate: Contender) -> str:
        """What was found about one engine, in words."""
        by = f"by the engine {found.engine}, " if found.engine != NATIVE else ""
        if found.apart is None or found.online is None:
            return by + found.fault
        said = (
            f"{by}{count(len(rows), 'test row')} sent to the server come back with probabilities "
            f"{distance(float(found.apart.max()))} (allowed: {rounded(found.tolerance)}), {percent(found.same)} with its labels"
        )
        said += f" (at least {percent(found.agreement)})" if found.agreement else ""
        if found.good:
            return said
        place = int(found.apart.argmax())
        online = found.online[place]
        column = int(abs(online - offline[place]).argmax())
        return said + (
            f"; row {rows[place] + 1} {quoted(candidate.data.test.texts[rows[place]])} gets {rounded(float(online[column]))} "
            f"for {printable(candidate.data.classes[column])!r} where the gate saw {rounded(float(offline[place, column]))}"
        )

    def _figure(self, shown: Sequence[Parity], offline: np.ndarray) -> str:
        """The probability of the gate's answer, as the gate saw it and as it is served."""
        import numpy as np

        answers = offline.argmax(axis=1)
        places = np.arange(len(answers))

        def draw(axes: Axes) -> None:
            axes.plot([0, 1], [0, 1], color=charts.INK, linewidth=1, linestyle="--")
            for each, mark in zip(shown, "o^sDv" * len(shown), strict=False):
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
            axes.set_xlabel("probability of the answer, as the gate saw it")
            axes.set_ylabel("as it is served")
            axes.legend()

        return charts.svg("Answers of the gate and of the server", draw, (4.8, 4.4))
