"""Whether the server gives the answers that the gate has judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import figures, files
from ftkit.bundle import MANIFEST
from ftkit.contracts import Contender, Verdict
from ftkit.errors import DeployError
from ftkit.serving.process import ServedModel, serving
from ftkit.wording import count, figure, printable, quoted
from ftkit_strict import scoring
from ftkit_strict.asking import sample
from ftkit_strict.served import Unsound, asked, distance, fitting

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class ServedParity:
    """Passes when a server of the very bundle answers test rows as the gate scored them.

    The other tests judge probabilities that were computed in this process, all rows at once. Here the bundle runs in a server
    process, started as an endpoint starts it, and is asked over HTTP in requests of several sizes. Nothing is computed
    anew to compare with: the numbers are those that the verdicts rest on. An answer may have another label only
    where the gate's two best are within the tolerance of a tie.
    """

    name: ClassVar[str] = "served-parity"
    rows: int = 80
    """How many test rows to send; the run's seed draws them."""
    sizes: tuple[int, ...] = (1, 7, 32, 40)
    """Rows of one request and the next, over and over, until all rows are sent."""
    tolerance: float = 1e-4
    """How much a probability may differ: what other batches and other rounding bring is far below, in single precision."""

    def __post_init__(self) -> None:
        scoring.at_least("rows", self.rows, 1)
        if not self.sizes:
            raise ValueError("sizes is empty: name at least one size of a request")
        for size in self.sizes:
            if not 1 <= size <= 1024:
                raise ValueError("sizes must be from 1 to 1024 rows")
        scoring.in_range("tolerance", self.tolerance, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Ask the candidate's server about test rows."""
        import numpy as np

        if reason := scoring.trouble(candidate):
            return Verdict(self.name, "failed", f"answers cannot be compared: {reason}")
        rows = sample(candidate, self.rows)
        offline = np.asarray(candidate.probabilities, dtype=np.float64)[rows]  # (rows, classes)
        texts = [candidate.data.test.texts[row] for row in rows]
        try:
            with serving(candidate) as servers:
                online = self._served(servers.get(), texts, candidate)
        except DeployError as error:
            return Verdict(self.name, "failed", f"the served model cannot be compared: {error.what}")
        except Unsound as fault:
            return Verdict(self.name, "failed", f"the server does not answer as it should: {fault}")
        apart = abs(online - offline).max(axis=1)  # (rows,)
        flipped = online.argmax(axis=1) != offline.argmax(axis=1)
        numbers = {"rows": len(rows), "max_difference": apart.max(), "mean_difference": apart.mean()}
        numbers |= {"flipped": flipped.sum(), "tolerance": self.tolerance}
        good = bool((apart <= self.tolerance).all())
        said = (
            f"{count(len(rows), 'test row')} sent to the server come back with probabilities "
            f"{distance(float(apart.max()))} (allowed: {figure(self.tolerance)}), "
            f"{int(flipped.sum())} with another label"
        )
        if not good:
            said += f"; {self._worst(int(apart.argmax()), rows, texts, online, offline, candidate.data.classes)}"
        drawing = None if good else self._figure(online, offline, apart)
        return Verdict(self.name, scoring.status(good), said, scoring.finite(numbers), drawing)

    def _served(self, server: ServedModel, texts: Sequence[str], candidate: Contender) -> np.ndarray:
        """The server's probabilities, (texts, classes). Raises: Unsound; DeployError."""
        import numpy as np

        expected = files.sha256(candidate.bundle / MANIFEST)
        parts: list[np.ndarray] = []
        sent = number = 0
        while sent < len(texts):
            size = min(self.sizes[number % len(self.sizes)], fitting(texts[sent:], server.limits))
            part = texts[sent : sent + max(1, size)]
            answer, found = asked(server, part, candidate.data.classes)
            if answer.bundle != expected:
                other = f"bundle {answer.bundle[:12]}" if answer.bundle else "a bundle that it does not name"
                raise Unsound(f"it answers from {printable(other)}, the gate has judged {expected[:12]}")
            parts.append(found)
            sent, number = sent + len(part), number + 1
        labels = server.invoke({"data": [{"text": text} for text in texts[: len(parts[0])]]})
        scored = [candidate.data.classes[row.argmax()] for row in parts[0]]
        if labels.value != scored:
            raise Unsound(f"without scores it says {quoted(str(labels.value))}, with them {quoted(str(scored))}")
        return np.concatenate(parts)

    def _worst(
        self,
        place: int,
        rows: Sequence[int],
        texts: Sequence[str],
        online: np.ndarray,
        offline: np.ndarray,
        classes: Sequence[str],
    ) -> str:
        """The row that differs most, in words."""
        column = int(abs(online[place] - offline[place]).argmax())
        return (
            f"row {rows[place] + 1} {quoted(texts[place])} gets {figure(float(online[place, column]))} for "
            f"{printable(classes[column])!r} where the gate saw {figure(float(offline[place, column]))}"
        )

    def _figure(self, online: np.ndarray, offline: np.ndarray, apart: np.ndarray) -> str:
        """The probability of the gate's answer, as the gate saw it and as it is served."""
        answers = offline.argmax(axis=1)
        over = apart > self.tolerance
        own = [(row, answers[row]) for row in range(len(answers))]

        def draw(axes: Axes) -> None:
            axes.plot([0, 1], [0, 1], color=figures.INK, linewidth=1, linestyle="--")
            for beyond, mark, colour in ((False, "o", figures.CALM), (True, "x", figures.BAD)):
                shown = [place for place in own if over[place[0]] == beyond]
                axes.plot(
                    [offline[place] for place in shown],
                    [online[place] for place in shown],
                    mark,
                    color=colour,
                    alpha=0.7,
                )
            axes.set_xlabel("probability of the answer, as the gate saw it")
            axes.set_ylabel("as it is served (×: too far)")

        return figures.drawn("Answers of the gate and of the server", draw, (4.6, 4.2))
